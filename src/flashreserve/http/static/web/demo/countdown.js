/* Clocks that run down. Screen readers aren't told each second: the live region speaks at some marks. */
import { html, useRef } from '../shared/html.js';
import { clockText } from '../shared/format.js';
import { makeSpokenTimer } from '../shared/live.js';
import { parts } from './texts.js';

const DAY_S = 86_400;

/** A large countdown by days, hours, minutes and seconds. `words(ms)` is what the live region says. */
export function Countdown({ leftMs, label, words }) {
  useSpokenTimer(leftMs, words);
  return html`<p class="countdown" role="timer" aria-label=${label}>
    ${partsOf(leftMs).map(([name, n]) => html`<span key=${name}><b>${n}</b> ${parts[name](n)} </span>`)}
  </p>`;
}

/** A large clock of minutes and seconds, with a bar of the time that is left. */
export function Clock({ leftMs, wholeMs, label, words }) {
  useSpokenTimer(leftMs, words);
  const width = `${Math.min(100, (100 * leftMs) / wholeMs)}%`;
  return html`<div class="clock">
    <p><b role="timer" aria-label=${label}>${clockText(leftMs)}</b> ${label}</p>
    <div class="bar" aria-hidden="true"><span style=${{ width }}></span></div>
  </div>`;
}

function useSpokenTimer(leftMs, words) {
  const timer = useRef(null);
  timer.current ??= makeSpokenTimer(words);
  timer.current(leftMs);
}

/** The parts of a length of time, from the first that isn't zero; minutes and seconds always. */
function partsOf(ms) {
  const s = Math.max(0, Math.ceil(ms / 1000));
  const all = [
    ['days', Math.floor(s / DAY_S)],
    ['hours', Math.floor(s / 3600) % 24],
    ['minutes', Math.floor(s / 60) % 60],
    ['seconds', s % 60],
  ];
  const first = all.findIndex(([, n]) => n > 0);
  return all.slice(first < 0 ? 2 : Math.min(first, 2));
}
