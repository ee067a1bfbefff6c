/* Copying to the clipboard, and secrets that are shown once. */
import { html, useEffect, useRef, useState } from '../shared/html.js';
import { announce } from '../shared/live.js';
import { common } from './texts/common.js';

/** A button that copies a text. Where no page may copy, it shows the text, selected. */
export function CopyButton({ text, label = common.copy }) {
  const [state, setState] = useState('');
  const area = useRef(null);
  useEffect(() => {
    if (state === 'by hand') area.current.select();
  }, [state]);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      announce(common.copied);
      setState('copied');
    } catch {
      setState('by hand');
    }
  };
  return html`<span class="copy">
    <button type="button" onClick=${copy}>${label}</button>
    ${state === 'copied' && html`<span class="muted">${common.copied}</span>`}
    ${
      state === 'by hand' &&
      html`<label>${common.copyByHand}<textarea ref=${area} readonly rows="4" value=${text} /></label>`
    }
  </span>`;
}

/** A secret that the API tells once, with a button to copy it. */
export function Secret({ label, value }) {
  return html`<section class="secret" aria-label=${label}>
    <p><strong>${label}.</strong> ${common.shownOnce}</p>
    <p><code>${value}</code></p>
    <${CopyButton} text=${value} />
  </section>`;
}

/** Save a text as a file of the visitor's. */
export function saveFile(name, type, text) {
  const address = URL.createObjectURL(new Blob([text], { type }));
  const link = document.createElement('a');
  link.href = address;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

/** A text in single quotes for a shell. */
export const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
