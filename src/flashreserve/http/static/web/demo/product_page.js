/* The page of one product. */
import { html, useEffect, useRef, useState } from '../shared/html.js';
import { root } from '../shared/api.js';
import { clockText, price } from '../shared/format.js';
import { announce } from '../shared/live.js';
import { useCustomer } from './customer.js';
import { useNow } from './now.js';
import { headingOf, Panel } from './panels.js';
import { followProduct, reloadProduct, useShownProduct } from './product_data.js';
import { forgetRefusal, goOnSignedIn, loadReservations, resume, usePurchase } from './purchase.js';
import { currentReservation, onOtherTabs, seenReservation } from './reservations.js';
import { stateOf } from './state.js';
import { StockLine } from './stock_line.js';
import { headings, product as texts, spoken, states } from './texts.js';
import { Tile } from './tile.js';

const TICK_MS = 250;
const HELD_CHECK_MS = 10_000;

/** When a sale opens, each page waits a random part of this, so that a crowd doesn't ask in one moment. */
const OPENING_MS_MAX = 300;
const openingDelayMs = Math.random() * OPENING_MS_MAX;

/** The page of the product with this id. */
export function ProductPage({ id }) {
  const view = useView();
  const [quantity, setQuantity] = useState('1');
  useEffect(() => followProduct(id), [id]);
  const isKnown = Boolean(view.product);
  useEffect(() => {
    if (isKnown) resume(id);
  }, [id, isKnown]);
  useCustomerChange(view);
  useStateChange(view);
  useHeldChecks(view.state);
  if (view.state === 'loading' || view.state === 'unknown') return html`<${WithoutProduct} view=${view} />`;
  const { state, stock } = view;
  return html`<main id="main" tabindex="-1" class="product" data-state=${state} data-available=${stock.available}>
    <${Presentation} product=${view.product} />
    <div class="sale">
      <${Panel} view=${{ ...view, quantity, setQuantity }} />
      <${StockLine} ...${view} />
    </div>
    ${view.product.description && html`<${About} product=${view.product} />`}
  </main>`;
}

/** All that the page shows, and its state. */
function useView() {
  const { timed, ...known } = useShownProduct();
  const shown = timed ? known : { ...known, product: undefined };
  const purchase = usePurchase();
  const customer = useCustomer();
  const now = useNow(TICK_MS);
  const reservation = currentReservation(purchase.reservations, now, seenReservation());
  const state = stateOf(shown.product, shown.stock, reservation, now, openingDelayMs);
  const view = { ...shown, purchase, customer, now, reservation };
  if (!shown.product) return { ...view, state };
  if (purchase.signIn) return { ...view, state: 'signing-in' };
  if (state === 'sold-out' && isReserving(purchase)) return { ...view, state: 'reserving' };
  return { ...view, state: state === 'held' && purchase.paying ? 'paying' : state };
}

/** Until the outcome of a click is known, the last units may be the customer's own: "sold out" would be wrong. */
const isReserving = ({ doing, unanswered }) => doing?.what === 'reserving' || unanswered !== null;

/** Somebody has signed in or out, here or in another tab. */
function useCustomerChange({ customer, purchase }) {
  const id = customer?.id;
  const before = useRef(id);
  useEffect(() => {
    if (before.current === id) return;
    before.current = id;
    if (id && purchase.signIn) goOnSignedIn();
    else loadReservations();
  }, [id]);
}

/** Show each state in the title, say it, and read anew what it depends on. */
function useStateChange(view) {
  const { state, product, stock } = view;
  const before = useRef(state);
  const title = product ? texts.title(titleOf(view), product.name) : headings[state];
  useEffect(() => {
    document.title = title;
  }, [title]);
  useEffect(() => {
    const last = before.current;
    before.current = state;
    if (last === state || last === 'loading') return;
    announce(last === 'sold-out' && state === 'open' ? spoken.back(stock.available) : headingOf(view));
    if (last === 'before' || last === 'opening') reloadProduct(product.id);
    if (state === 'expired') loadReservations();
    if (state === 'open' && last !== 'reserving') forgetRefusal();
  }, [state]);
}

function titleOf(view) {
  const { state, product, reservation, now } = view;
  if (state === 'before') return clockText(Date.parse(product.saleStartsAt) - now);
  if (state === 'held' || state === 'paying') return clockText(Date.parse(reservation.expiresAt) - now);
  return headingOf(view);
}

/** A hold may be changed in another tab, or on another device. */
function useHeldChecks(state) {
  const held = state === 'held' || state === 'paying';
  useEffect(() => {
    const check = () => document.visibilityState === 'visible' && loadReservations();
    const timer = held ? setInterval(check, HELD_CHECK_MS) : undefined;
    const stop = onOtherTabs(loadReservations);
    document.addEventListener('visibilitychange', check);
    return () => {
      clearInterval(timer);
      stop();
      document.removeEventListener('visibilitychange', check);
    };
  }, [held]);
}

function WithoutProduct({ view: { state, unreachable } }) {
  const words = state === 'unknown' ? states.unknown : unreachable ? states.unreachable : states.loading;
  return html`<main id="main" tabindex="-1" data-state=${state} class="narrow">
    <section class="empty">
      <h1>${headings[state]}</h1>
      <p>${words}</p>
      ${state === 'unknown' && html`<p class="above"><a href="${root}demo">${states.toList}</a></p>`}
    </section>
  </main>`;
}

function Presentation({ product }) {
  const { name, currency, perCustomerLimit } = product;
  return html`<div class="presentation">
    <p class="above"><a href="${root}demo">${texts.all}</a></p>
    <${Tile} product=${product} large />
    <h1>${name}</h1>
    <p class="price">${price(product.price, currency)} <span class="muted">${texts.each}</span></p>
    ${perCustomerLimit && html`<p class="muted">${texts.limit(perCustomerLimit)}</p>`}
  </div>`;
}

function About({ product }) {
  return html`<section>
    <h2>${texts.about}</h2>
    <p class="written">${product.description}</p>
  </section>`;
}
