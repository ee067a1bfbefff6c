/* The customer's own reservations of one product. */
import { root } from '../shared/api.js';
import { statusAt } from './state.js';

const SLOT_SEEN = 'flashreserve-seen';
const SLOT_EXTENSIONS = 'flashreserve-extensions';
const SLOT_CHANGED = `flashreserve-changed:${root}`;

/** An expiry is news for this long. */
const NEWS_MS = 10 * 60_000;

/**
 * The reservation that the page is about, or null: the open hold; or the newest one, if it has expired lately; or the
 * last purchase. The customer may have set aside the last two by going on.
 *
 * @param {object[]} reservations Newest first.
 * @param {number} now The time of the service, in ms.
 * @param {string | null} seenId The reservation that was set aside.
 */
export function currentReservation(reservations, now, seenId) {
  const held = reservations.find((each) => statusAt(each, now) === 'PENDING');
  if (held) return held;
  const [newest] = reservations;
  if (newest && statusAt(newest, now) === 'EXPIRED' && now - Date.parse(newest.expiresAt) < NEWS_MS) {
    if (newest.id !== seenId) return newest;
  }
  const bought = reservations.find((each) => each.status === 'CONFIRMED' && unitsIn(each) > 0);
  return bought && bought.id !== seenId && newest.id !== seenId ? bought : null;
}

/** The units of a reservation that were not returned; with a product's id, those of this product. */
export const unitsIn = ({ lines }, productId) =>
  lines
    .filter((line) => productId === undefined || line.productId === productId)
    .reduce((sum, { quantity, returned }) => sum + quantity - returned, 0);

/** The units of the product that count towards the customer's limit: held and bought ones. */
export const unitsTaken = (reservations, productId, now) =>
  reservations
    .filter((each) => ['PENDING', 'CONFIRMED'].includes(statusAt(each, now)))
    .reduce((sum, each) => sum + unitsIn(each, productId), 0);

/** The reservation that was set aside in this tab. */
export const seenReservation = () => sessionStorage.getItem(SLOT_SEEN);

/** Set a reservation aside: the page goes on without it. */
export const setAside = ({ id }) => sessionStorage.setItem(SLOT_SEEN, id);

/** How often a hold was extended in this browser. The API doesn't tell it. */
export function extensionsUsed({ id }) {
  const used = JSON.parse(localStorage.getItem(SLOT_EXTENSIONS));
  return used?.id === id ? used.times : 0;
}

/** Count the extensions of a hold. */
export const countExtensions = ({ id }, times) => localStorage.setItem(SLOT_EXTENSIONS, JSON.stringify({ id, times }));

/** Tell the other tabs that a reservation has changed. */
export const tellOtherTabs = () => localStorage.setItem(SLOT_CHANGED, String(Math.random()));

/** Call back when another tab has changed a reservation. Returns a function that ends it. */
export function onOtherTabs(listener) {
  const onStorage = ({ key }) => key === SLOT_CHANGED && listener();
  addEventListener('storage', onStorage);
  return () => removeEventListener('storage', onStorage);
}
