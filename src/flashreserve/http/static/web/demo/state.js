/* The state of a product's page for one customer. */

/**
 * The state, as the first that holds of:
 *
 * | state      | when                                                                      |
 * | ---------- | ------------------------------------------------------------------------- |
 * | `loading`  | the product isn't known yet                                               |
 * | `unknown`  | there is no such product                                                  |
 * | `held`     | the customer holds units; nothing but the time ends that, pauses included |
 * | `expired`  | the hold is over                                                          |
 * | `bought`   | the customer bought the units                                             |
 * | `archived` | the product is sold no more                                               |
 * | `over`     | the sale has ended                                                        |
 * | `paused`   | the shop has paused the sale                                              |
 * | `before`   | the sale opens later                                                      |
 * | `opening`  | it has just opened, and this page waits its random part of a second       |
 * | `sold-out` | no unit is available                                                      |
 * | `open`     | everything else                                                           |
 *
 * @param {object | null | undefined} product As of the API; null if there is none, undefined until it is known.
 * @param {{available: number}} stock
 * @param {object | null} reservation The customer's reservation that the page is about.
 * @param {number} now The time of the service, in ms.
 * @param {number} [delayMs] How long this page waits after the opening.
 */
export function stateOf(product, stock, reservation, now, delayMs = 0) {
  if (product === undefined) return 'loading';
  if (product === null) return 'unknown';
  if (reservation) return RESERVATION_STATES[statusAt(reservation, now)];
  if (product.archived) return 'archived';
  if (isPast(product.saleEndsAt, now)) return 'over';
  if (product.pauseReason !== null) return 'paused';
  if (product.saleStartsAt !== null && !isPast(product.saleStartsAt, now)) return 'before';
  if (product.saleStartsAt !== null && !isPast(product.saleStartsAt, now - delayMs)) return 'opening';
  return stock.available === 0 ? 'sold-out' : 'open';
}

const RESERVATION_STATES = { PENDING: 'held', CONFIRMED: 'bought', EXPIRED: 'expired' };

/** The status of a reservation: a hold expires by the time, before the service has put its units back. */
export const statusAt = ({ status, expiresAt }, now) =>
  status === 'PENDING' && isPast(expiresAt, now) ? 'EXPIRED' : status;

const isPast = (instant, now) => instant !== null && Date.parse(instant) <= now;
