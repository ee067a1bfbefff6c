/* Spoken messages: screen readers read what is added to the live region, without moving the focus. */
import { html, useEffect, useState } from './html.js';

const KEEP_MS = 10_000;
const MARKS_MS = [5 * 60_000, 60_000, 20_000];

let number = 0;
let messages = [];
let show = () => undefined;

/** Say something. */
export function announce(text) {
  number += 1;
  const message = { number, text };
  change([...messages, message]);
  setTimeout(() => change(messages.filter((each) => each !== message)), KEEP_MS);
}

function change(next) {
  messages = next;
  show(next);
}

/** The live region. It is in the page once, from the beginning: readers notice changes only of a region they know. */
export function LiveRegion() {
  const [shown, setShown] = useState(messages);
  useEffect(() => {
    show = setShown;
    setShown(messages);
  }, []);
  return html`<div class="visually-hidden" role="status" aria-live="polite" aria-atomic="false">
    ${shown.map((message) => html`<p key=${message.number}>${message.text}</p>`)}
  </div>`;
}

/**
 * A function that is told how much time is left, and says it at 5 minutes, 1 minute and 20 seconds: every second would
 * be too much. `words(ms)` makes the sentence.
 */
export function makeSpokenTimer(words) {
  let before = 0;
  return (leftMs) => {
    const passed = MARKS_MS.findLast((mark) => leftMs <= mark && mark < before);
    before = leftMs;
    if (passed !== undefined) announce(words(passed));
  };
}
