/* The click on "buy" whose outcome isn't known. Its idempotency key outlives a reload, but not the tab. */
import { newKey } from '../shared/api.js';

/** After this time the customer no longer waits for the click, so a reload doesn't buy. */
const CLICK_MS_MAX = 2 * 60_000;

const slot = (productId) => `flashreserve-click:${productId}`;

/** Begin a click: `{key, productId, quantity, customerId, atMs}`. */
export function beginClick(productId, quantity, customerId) {
  const click = { key: newKey(), productId, quantity, customerId, atMs: Date.now() };
  sessionStorage.setItem(slot(productId), JSON.stringify(click));
  return click;
}

/** The click whose outcome isn't known, or null. */
export function pendingClick(productId) {
  const click = JSON.parse(sessionStorage.getItem(slot(productId)));
  return click && Date.now() - click.atMs < CLICK_MS_MAX ? click : null;
}

/** The outcome is known. */
export const endClick = (productId) => sessionStorage.removeItem(slot(productId));
