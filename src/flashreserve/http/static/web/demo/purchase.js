/*
 * The purchase of one product: what the customer does, step by step. Each request is repeated until its outcome is
 * known, and the page says so meanwhile. Nothing is taken twice: a click on "buy" has one idempotency key; paying and
 * giving back are the same when repeated; and before an extension is repeated, the hold is read.
 */
import { serverNow } from '../shared/clock.js';
import { announce } from '../shared/live.js';
import { makeStore } from '../shared/store.js';
import { beginClick, endClick, pendingClick } from './clicks.js';
import { askAsCustomer, customerNow, isSignInOver } from './customer.js';
import { repeat } from './repetition.js';
import {
  countExtensions,
  currentReservation,
  extensionsUsed,
  seenReservation,
  setAside,
  tellOtherTabs,
} from './reservations.js';
import { spoken } from './texts.js';
import { countTrouble, passOrDrop } from './trouble.js';

const NOTHING = { reservations: [], doing: null, refusal: null, unanswered: null, signIn: null, paying: false };

/**
 * `reservations` (the customer's own of this product, newest first), `doing` (what is under way: its name in `what`,
 * and the `tries` that got no answer), `refusal` (why the last step was refused: a problem document), `unanswered` (a
 * function that asks again, if no answer came at all), `signIn` (`why` the customer has to sign in, and `then`, which
 * goes on afterwards), `paying` (the card page is open), and `actions` (how often the customer has done something).
 */
const purchase = makeStore({ ...NOTHING, actions: 0 });
let productId;
/** How often a step has changed a reservation, so that a list asked for before isn't taken for the present one. */
let changes = 0;

/** The purchase, in a component. */
export const usePurchase = purchase.use;

/** Begin with the reservations of the product with this id, and with the click before a reload. */
export async function resume(id) {
  productId = id;
  const click = pendingClick(id);
  if (!customerNow()) {
    if (click) change({ signIn: { why: 'over', then: () => repeatClick(click) } });
    return;
  }
  await loadReservations();
  if (!click) return;
  const { reservations } = purchase.read();
  if (currentReservation(reservations, serverNow(), seenReservation())?.status === 'PENDING') endClick(id);
  else await repeatClick(click);
}

/** Read the customer's reservations anew. */
export async function loadReservations() {
  if (!productId) return;
  if (!customerNow()) return forgetCustomer();
  const changesBefore = changes;
  const answer = await askAsCustomer('GET', `reservations?productId=${productId}`).catch(() => null);
  if (answer?.ok && changes === changesBefore) change({ reservations: answer.data.items });
}

/** Nobody is signed in. After an end that the customer didn't want, the page asks to sign in again. */
function forgetCustomer() {
  const { signIn } = purchase.read();
  change({ ...NOTHING, signIn: signIn ?? (isSignInOver() ? { why: 'over', then: () => undefined } : null) });
}

/** Hold units. Without a customer, the page asks to sign in first. */
export async function reserve(quantity) {
  act();
  const customer = customerNow();
  if (!customer) return askToSignIn('buy', () => reserve(quantity));
  await sendClick(beginClick(productId, quantity, customer.id));
}

/** Pay what is held. The card was charged by the simulated bank before. */
export async function pay({ id }) {
  act();
  const { answer } = await carryOut('paying', () => askToChange('POST', `checkout/${id}`));
  await settle(answer, () => pay({ id }), { paying: false });
}

/** Give the held units back. */
export async function giveBack({ id }) {
  act();
  const { answer } = await carryOut('returning', () => askToChange('DELETE', `reservations/${id}`));
  await settle(answer, () => giveBack({ id }), { paying: false });
}

/** Hold for longer. */
export async function extend(held) {
  act();
  const { answer } = await carryOut('extending', async (tries) => {
    const now = tries > 0 && (await askAsCustomer('GET', `reservations/${held.id}`));
    return now?.ok && Date.parse(now.data.expiresAt) > Date.parse(held.expiresAt)
      ? now
      : await askToChange('POST', `reservations/${held.id}/extend`);
  });
  if (answer?.ok) {
    countExtensions(held, extensionsUsed(held) + 1);
    announce(spoken.extended);
  }
  if (answer?.problem?.code === 'extensions-used-up') countExtensions(held, Infinity);
  await settle(answer, () => extend(held));
}

/** Go on without a reservation that is over or bought. */
export function goOnWithout(reservation) {
  setAside(reservation);
  act();
}

/** Open or close the card page. */
export function openCard(paying) {
  act();
  change({ paying });
}

/** Ask to sign in; `then` goes on afterwards. */
export function askToSignIn(why, then = () => undefined) {
  act();
  change({ signIn: { why, then } });
}

/** The customer has signed in: go on with what had begun. */
export async function goOnSignedIn() {
  const { then } = purchase.read().signIn;
  act();
  change({ signIn: null });
  await loadReservations();
  await then();
}

/** Leave the form without signing in. */
export function leaveSignIn() {
  endClick(productId);
  act();
  change({ signIn: null });
}

/** After a reload, the request of the click may have been sent before. */
function repeatClick(click) {
  countTrouble('again');
  return sendClick(click, { resumed: true });
}

/** Why the last step was refused is no longer true. */
export const forgetRefusal = () => change({ refusal: null });

const change = (news) => purchase.write({ ...purchase.read(), ...news });

const act = () => change({ actions: purchase.read().actions + 1, refusal: null, unanswered: null });

/** Send a click. Another customer than the one who clicked, after signing in again, makes a click of their own. */
async function sendClick(begun, { resumed = false } = {}) {
  const { id } = customerNow();
  const click = begun.customerId === id ? begun : beginClick(productId, begun.quantity, id);
  // The key is the external id too, so that the reservations of one click can be counted.
  const body = { quantity: click.quantity, externalId: click.key };
  const { answer, tries } = await carryOut('reserving', () =>
    askToChange('POST', `products/${productId}/reservations`, { body, key: click.key }),
  );
  if (answer && answer.status !== 401) endClick(productId);
  settle(answer, () => sendClick(click));
  if (answer?.ok && (resumed || tries > 1)) await countTwice(click);
}

/** Do something by repeating a request until its outcome is known. */
async function carryOut(what, send) {
  change({ doing: { what, tries: 0 }, refusal: null, unanswered: null });
  return await repeat(send, (tries) => {
    countTrouble('again');
    change({ doing: { what, tries } });
  });
}

const askToChange = async (...request) => passOrDrop(await askAsCustomer(...request));

/** Show the outcome of a step, and read the reservations anew: an answer may be older than a step in another tab. */
function settle(answer, again, news = {}) {
  if (answer === null) return change({ doing: null, unanswered: again });
  if (answer.status === 401) return change({ doing: null, signIn: { why: 'over', then: again } });
  changes += 1;
  const { reservations } = purchase.read();
  const others = answer.ok && reservations.filter(({ id }) => id !== answer.data.id);
  change({
    ...news,
    doing: null,
    refusal: answer.problem,
    reservations: answer.ok ? [answer.data, ...others] : reservations,
  });
  tellOtherTabs();
  return loadReservations();
}

/** Count the reservations of one click beyond the first. There are none: that is what the key is for. */
async function countTwice({ key }) {
  const answer = await askAsCustomer('GET', `reservations?externalId=${key}`).catch(() => null);
  if (answer?.ok) countTrouble('twice', Math.max(0, answer.data.items.length - 1));
}
