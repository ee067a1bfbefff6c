/* A simulated card page, inside of the product's page. The bank is what a shop has to reckon with. */
import { html, useEffect, useRef, useState } from '../shared/html.js';
import { sumText } from './money.js';
import { openCard, pay } from './purchase.js';
import { card as texts } from './texts.js';

/** The hold whose payment waits for the bank: if a reload interrupts it, the page can say so. */
const SLOT = 'flashreserve-at-bank';

const BANK_MS = { works: 700, refuses: 700, slow: 8000 };

/** Whether a reload has interrupted the payment of this hold. */
export const isInterrupted = ({ id }) => sessionStorage.getItem(SLOT) === id;

const leaveBank = () => sessionStorage.removeItem(SLOT);

/** The card page of a hold. */
export function Card({ product, reservation, purchase }) {
  const [bank, setBank] = useState('works');
  const [state, setState] = useState('asking');
  const timer = useRef(null);
  useEffect(() => {
    leaveBank();
    return () => {
      clearTimeout(timer.current);
      leaveBank();
    };
  }, []);
  const busy = state === 'working' || purchase.doing !== null;
  const answer = () => {
    leaveBank();
    setState(bank === 'refuses' ? 'refused' : 'asking');
    if (bank !== 'refuses') pay(reservation);
  };
  const onSubmit = (event) => {
    event.preventDefault();
    if (busy) return;
    setState('working');
    sessionStorage.setItem(SLOT, reservation.id);
    timer.current = setTimeout(answer, BANK_MS[bank]);
  };
  return html`<form class="card-page" onSubmit=${onSubmit}>
    <p>${texts.intro}</p>
    <fieldset class="field">
      <legend>${texts.behaviour}</legend>
      ${Object.keys(BANK_MS).map(
        (name) => html`<label key=${name} class="checkbox">
          <input type="radio" name="bank" value=${name} checked=${name === bank} onChange=${() => setBank(name)} />
          <span>${texts[name]}</span>
        </label>`,
      )}
    </fieldset>
    <p class="hint">${texts.closeTab}</p>
    <div role="status">
      ${state === 'working' && html`<p>${texts.working}</p>`}
      ${state === 'refused' && html`<p class="error">${texts.refused}</p>`}
    </div>
    <div class="actions">
      <button type="submit" class="primary" aria-disabled=${busy}>
        ${texts.pay(sumText(reservation, product.id))}
      </button>
      <button type="button" onClick=${() => openCard(false)}>${texts.back}</button>
    </div>
  </form>`;
}
