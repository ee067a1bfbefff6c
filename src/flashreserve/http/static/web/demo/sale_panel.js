/* What a customer without a hold sees: the countdown to the opening, and the way to reserve. */
import { Fragment, html, useEffect, useState } from '../shared/html.js';
import { price, Time } from '../shared/format.js';
import { Countdown } from './countdown.js';
import { total } from './money.js';
import { askToSignIn, reserve } from './purchase.js';
import { unitsTaken } from './reservations.js';
import { headings, spoken, states as texts } from './texts.js';

const QUANTITY_MAX = 1000;

/**
 * The states `before`, `opening`, `open` and `reserving`. The button is the same in all of them, so that the focus
 * stays on it while the sale opens.
 */
export function SalePanel({ state, product, stock, purchase, customer, now, quantity, setQuantity }) {
  const taken = unitsTaken(purchase.reservations, product.id, now);
  const allowed = (product.perCustomerLimit ?? QUANTITY_MAX) - taken;
  const most = Math.max(1, Math.min(allowed, stock.available, QUANTITY_MAX));
  const reason = reasonOf(state, allowed, taken);
  const [fault, setFault] = useState('');
  const units = most === 1 ? 1 : Number(quantity);
  const valid = Number.isInteger(units) && units >= 1 && units <= most;
  useEffect(() => setFault(''), [quantity]);
  const onSubmit = (event) => {
    event.preventDefault();
    if (reason || purchase.doing) return;
    if (valid) reserve(units);
    else setFault(texts.quantityInvalid(most));
  };
  return html`
    ${state === 'before' && html`<${Opening} product=${product} now=${now} />`}
    <form onSubmit=${onSubmit} novalidate>
      ${
        state === 'open' &&
        most > 1 &&
        html`<${Quantity} ...${{ quantity, setQuantity, most, fault }} />`
      }
      ${state === 'open' && valid && html`<${Total} product=${product} quantity=${units} />`}
      <p id="reserve-reason" class="muted">${reason || texts.holdFor(1000 * product.holdSeconds)}</p>
      <div class="actions">
        <button
          type="submit" class="primary" aria-describedby="reserve-reason"
          aria-disabled=${Boolean(reason) || purchase.doing !== null}
        >${texts.reserve}</button>
        ${state === 'before' && !customer && html`<${SignInBefore} />`}
      </div>
    </form>
    ${product.saleEndsAt && html`<p class="muted">${texts.endsAt} <${Time} at=${product.saleEndsAt} />.</p>`}
  `;
}

function reasonOf(state, allowed, taken) {
  if (state === 'before') return texts.notYet;
  if (state === 'opening' || state === 'reserving') return texts.hurry;
  return allowed > 0 ? '' : texts.limitUsed(taken);
}

function Opening({ product: { saleStartsAt }, now }) {
  return html`<${Fragment}>
    <${Countdown} leftMs=${Date.parse(saleStartsAt) - now} label=${headings.before} words=${spoken.opensIn} />
    <p>${texts.opensAt} <${Time} at=${saleStartsAt} />.</p>
  <//>`;
}

const SignInBefore = () =>
  html`<button type="button" onClick=${() => askToSignIn('asked')} aria-describedby="sign-in-before">
      ${texts.signInNow}
    </button>
    <span id="sign-in-before" class="hint">${texts.signInBefore}</span>`;

function Quantity({ quantity, setQuantity, most, fault }) {
  const step = (change) => () =>
    setQuantity(String(Math.min(most, Math.max(1, (Math.round(Number(quantity)) || 1) + change))));
  return html`<div class="field">
    <label for="quantity">${texts.quantity}</label>
    <div class="stepper">
      <button type="button" aria-label=${texts.fewer} onClick=${step(-1)}>−</button>
      <input
        id="quantity" inputmode="numeric" autocomplete="off" value=${quantity}
        aria-describedby=${fault ? 'quantity-error' : 'quantity-range'} aria-invalid=${fault ? 'true' : undefined}
        onInput=${(event) => setQuantity(event.target.value)}
      />
      <button type="button" aria-label=${texts.more} onClick=${step(1)}>+</button>
      <span id="quantity-range" class="hint">${texts.quantityRange(most)}</span>
    </div>
    ${fault && html`<p class="error" id="quantity-error" role="alert">${fault}</p>`}
  </div>`;
}

function Total({ product, quantity }) {
  const { currency } = product;
  const factors = `${quantity} × ${price(product.price, currency)} =`;
  return html`<p class="total">
    ${texts.total} ${quantity > 1 && html`<span class="muted">${factors}</span> `}
    <b>${price(total(product.price, quantity), currency)}</b>
  </p>`;
}
