/* The switch of the simulated network trouble, and what was counted. */
import { html } from '../shared/html.js';
import { count } from '../shared/format.js';
import { trouble as texts } from './texts.js';
import { setTrouble, useTrouble } from './trouble.js';

const FIGURES = ['dropped', 'again', 'twice'];

/** The switch, with a word on what it is for. */
export function NetworkTrouble() {
  const trouble = useTrouble();
  return html`<section class="trouble" aria-labelledby="trouble">
    <h2 id="trouble">${texts.title}</h2>
    <p class="muted">${texts.intro}</p>
    <button
      type="button" class="switch" role="switch" aria-checked=${String(trouble.on)}
      onClick=${() => setTrouble(!trouble.on)}
    >${texts.label}</button>
    <dl class="facts">
      ${FIGURES.map(
        (name) => html`<div key=${name} data-figure=${name}>
          <dt>${texts[name]}</dt>
          <dd>${count(trouble[name])}</dd>
        </div>`,
      )}
    </dl>
  </section>`;
}
