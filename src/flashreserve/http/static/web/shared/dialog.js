/* A question before a change that can't be taken back. */
import { html, render, useEffect, useRef } from './html.js';

/**
 * Ask whether to go on. Escape and the second button mean no.
 *
 * @param {{title: string, effect: string, confirm: string, cancel: string}} texts `effect` says what will happen.
 * @returns {Promise<boolean>}
 */
export function ask(texts) {
  return new Promise((resolve) => {
    const place = document.body.appendChild(document.createElement('div'));
    const answer = (said) => {
      render(null, place);
      place.remove();
      resolve(said);
    };
    render(html`<${Question} texts=${texts} answer=${answer} />`, place);
  });
}

function Question({ texts, answer }) {
  const dialog = useRef(null);
  useEffect(() => dialog.current.showModal(), []);
  // Closing first gives the focus back to the button that was clicked.
  const leave = (said) => {
    dialog.current.close();
    answer(said);
  };
  const onCancel = (event) => {
    event.preventDefault();
    leave(false);
  };
  return html`<dialog ref=${dialog} aria-labelledby="question" aria-describedby="question-effect" onCancel=${onCancel}>
    <h2 id="question">${texts.title}</h2>
    <p id="question-effect">${texts.effect}</p>
    <div class="actions">
      <button type="button" class="primary" onClick=${() => leave(true)}>${texts.confirm}</button>
      <button type="button" onClick=${() => leave(false)}>${texts.cancel}</button>
    </div>
  </dialog>`;
}
