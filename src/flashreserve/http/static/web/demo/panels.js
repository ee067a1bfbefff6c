/* The panel of a product's page: a heading that says the state in words, and what the customer can do in it. */
import { html, useEffect, useRef } from '../shared/html.js';
import { ask } from '../shared/dialog.js';
import { Time } from '../shared/format.js';
import { announce } from '../shared/live.js';
import { Card, isInterrupted } from './card.js';
import { Clock } from './countdown.js';
import { sumText } from './money.js';
import { extend, giveBack, goOnWithout, openCard, reserve } from './purchase.js';
import { extensionsUsed, unitsIn, unitsTaken } from './reservations.js';
import { SalePanel } from './sale_panel.js';
import { SignIn } from './sign_in.js';
import { stateOf } from './state.js';
import {
  card as cardTexts,
  giveBack as giveBackTexts,
  headings,
  progress,
  refusal,
  sentence,
  signIn,
  spoken,
  states as texts,
} from './texts.js';

const PANELS = {
  before: SalePanel,
  opening: SalePanel,
  open: SalePanel,
  reserving: SalePanel,
  held: Held,
  paying: Paying,
  bought: Bought,
  expired: Expired,
  'sold-out': SoldOut,
  paused: Paused,
  over: Over,
  archived: Archived,
  'signing-in': SigningIn,
};

/**
 * The panel. `view` has all that it shows: the `state`, `product`, `stock`, `reservation`, `purchase`, `customer`, and
 * the time `now`.
 */
export function Panel({ view }) {
  const { state } = view;
  const heading = useRef(null);
  const panel = useRef(null);
  useFocus(view, heading, panel);
  const Content = PANELS[state];
  return html`<section ref=${panel} class="panel ${state}" aria-labelledby="state">
    <h2 id="state" ref=${heading} tabindex="-1">${headingOf(view)}</h2>
    <${Content} key=${Content === SalePanel ? 'sale' : state} ...${view} />
    <${Progress} purchase=${view.purchase} />
  </section>`;
}

/** The heading of a view. */
export function headingOf({ state, product, reservation, purchase }) {
  if (state === 'signing-in') return signIn.title[purchase.signIn.why];
  const words = headings[state];
  return typeof words === 'function' ? words(unitsIn(reservation, product.id)) : words;
}

/**
 * Move the focus to the heading if the customer changed the state, or if the focus was on something that is gone. Else
 * it stays: nobody is to be interrupted.
 */
function useFocus({ state, purchase }, heading, panel) {
  const before = useRef({ state, actions: purchase.actions });
  const wasInside = panel.current?.contains(document.activeElement);
  useEffect(() => {
    const changed = state !== before.current.state;
    const byCustomer = purchase.actions !== before.current.actions;
    const lost = wasInside && document.activeElement === document.body;
    if (changed && (byCustomer || lost)) heading.current.focus();
    if (changed || purchase.doing === null) before.current = { state, actions: purchase.actions };
  }, [state, purchase.doing]);
}

function Progress({ purchase: { doing, refusal: problem, unanswered } }) {
  const tries = doing?.tries ?? 0;
  useEffect(() => tries > 0 && announce(progress.again(tries)), [tries]);
  if (doing)
    return html`<p id="progress" class="progress">${tries > 0 ? progress.again(tries) : progress[doing.what]}</p>`;
  if (unanswered) {
    return html`<div class="fault" role="alert">
      <p>${progress.unanswered}</p>
      <button type="button" onClick=${unanswered}>${progress.ask}</button>
    </div>`;
  }
  return problem && html`<p id="refusal" class="fault" role="alert" data-code=${problem.code}>${refusal(problem)}</p>`;
}

function Held({ product, reservation, purchase, now }) {
  const units = unitsIn(reservation, product.id);
  const moreLeft = product.maxExtensions - extensionsUsed(reservation);
  const busy = purchase.doing !== null;
  const unlessBusy = (work) => () => !busy && work();
  const giveBackIfSure = async () => (await ask(giveBackTexts(units))) && giveBack(reservation);
  return html`
    <${TimeLeft} ...${{ product, reservation, now }} />
    ${product.pauseReason && html`<p class="banner">${texts.pausedWhileHeld(sentence(product.pauseReason))}</p>`}
    ${isInterrupted(reservation) && html`<p class="banner">${cardTexts.interrupted}</p>`}
    <p>${texts.held}</p>
    <p class="total">${texts.total} <b>${sumText(reservation, product.id)}</b></p>
    <div class="actions">
      <button type="button" class="primary" aria-disabled=${busy} onClick=${unlessBusy(() => openCard(true))}>
        ${texts.payNow}
      </button>
      ${
        moreLeft > 0 &&
        html`<button type="button" aria-disabled=${busy} onClick=${unlessBusy(() => extend(reservation))}>
          ${texts.moreTime(moreLeft)}
        </button>`
      }
      <button type="button" aria-disabled=${busy} onClick=${unlessBusy(giveBackIfSure)}>${texts.giveBack}</button>
    </div>
    ${product.maxExtensions > 0 && moreLeft <= 0 && html`<p class="muted">${texts.noMoreTime}</p>`}
  `;
}

function TimeLeft({ product, reservation, now }) {
  const leftMs = Date.parse(reservation.expiresAt) - now;
  const wholeMs = 1000 * product.holdSeconds;
  return html`<${Clock} ...${{ leftMs, wholeMs, label: texts.timeLeft, words: spoken.timeLeft }} />`;
}

function Paying({ product, reservation, purchase, now }) {
  return html`
    <${TimeLeft} ...${{ product, reservation, now }} />
    <${Card} ...${{ product, reservation, purchase }} />
  `;
}

function Bought({ product, reservation, purchase, now }) {
  const { perCustomerLimit } = product;
  const taken = unitsTaken(purchase.reservations, product.id, now);
  const mayBuy = perCustomerLimit === null || taken < perCustomerLimit;
  return html`
    <p>${texts.bought}</p>
    <dl class="facts">
      <div><dt>${texts.reservation}</dt><dd><code id="reservation">${reservation.id}</code></dd></div>
      <div><dt>${texts.total}</dt><dd>${sumText(reservation, product.id)}</dd></div>
      <div><dt>${texts.boughtAt}</dt><dd><${Time} at=${reservation.confirmedAt} /></dd></div>
    </dl>
    ${
      mayBuy
        ? html`<div class="actions">
          <button type="button" onClick=${() => goOnWithout(reservation)}>${texts.buyAnother}</button>
        </div>`
        : html`<p class="muted">${texts.limitUsed(taken)}</p>`
    }
  `;
}

function Expired({ product, stock, reservation, now }) {
  const units = unitsIn(reservation, product.id);
  const tryAgain = () => {
    goOnWithout(reservation);
    if (stateOf(product, stock, null, now) === 'open') reserve(Math.min(units, stock.available));
  };
  return html`
    <p>${texts.expired(units)}</p>
    <div class="actions"><button type="button" class="primary" onClick=${tryAgain}>${texts.tryAgain}</button></div>
  `;
}

function SoldOut({ stock: { held } }) {
  const others = held === null ? texts.soldOut : held > 0 ? texts.onHold(held) : texts.allSold;
  return html`<p>${others}</p><p class="muted">${texts.stay}</p>`;
}

function Paused({ product }) {
  return html`
    <p class="banner">${texts.reason} ${sentence(product.pauseReason)}</p>
    <p class="muted">${texts.pausedStay}</p>
  `;
}

function Over({ product }) {
  return html`<p>${texts.endedAt} <${Time} at=${product.saleEndsAt} />.</p>`;
}

function Archived() {
  return html`<p>${texts.archived}</p>`;
}

function SigningIn({ purchase }) {
  return html`<${SignIn} why=${purchase.signIn.why} />`;
}
