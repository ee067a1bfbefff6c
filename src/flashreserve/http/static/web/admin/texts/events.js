/* Events of the trail in words. */
import { count, instant, price } from '../../shared/format.js';
import { units } from './common.js';
import { productForm } from './products.js';

export const events = {
  when: 'When',
  who: 'Who',
  what: 'What',
  actors: { customer: 'The customer', admin: 'An admin', shop: 'The shop', system: 'FlashReserve' },
  commandLine: 'An admin, by command',
};

const TERMS = {
  name: productForm.name,
  price: productForm.price,
  saleStartsAt: productForm.opens,
  saleEndsAt: productForm.ends,
  perCustomerLimit: productForm.limit,
  holdSeconds: 'Hold time in seconds',
  maxExtensions: productForm.extensions,
  archived: 'Archived',
};

const unitsOf = (lines) => units(lines.reduce((sum, { quantity, returned = 0 }) => sum + quantity - returned, 0));
const givenBack = ({ givenBack: lines, status }) =>
  status === 'CONFIRMED'
    ? `Returned ${unitsOf(lines)}: refund them.`
    : `Gave ${unitsOf(lines)} back, which were not bought.`;
const scope = ({ allProducts }) => (allProducts ? 'all sales' : 'the sale');

const WORDS = {
  'reservation.created': ({ lines, expiresAt }) => `Reserved ${unitsOf(lines)}, on hold until ${instant(expiresAt)}.`,
  'reservation.confirmed': ({ lines }) => `Bought ${unitsOf(lines)}.`,
  'reservation.expired': ({ lines }) => `The hold lapsed: ${unitsOf(lines)} went back on sale.`,
  'reservation.cancelled': ({ lines }) => `The hold was cancelled: ${unitsOf(lines)} went back on sale.`,
  'reservation.extended': ({ expiresAt, extensions }) =>
    `More time: until ${instant(expiresAt)} (extension ${count(extensions)}).`,
  'reservation.returned': givenBack,
  'product.created': ({ stockQuantity, terms }) =>
    `Made with ${units(stockQuantity)} at ${price(terms.price, terms.currency)}.`,
  'product.edited': ({ before, after }) => `Changed: ${changed(before, after)}.`,
  'product.stocked': ({ change, stockQuantity, available }) =>
    `${change > 0 ? 'Put in' : 'Took out'} ${units(Math.abs(change))}: ${count(stockQuantity)} in stock, ` +
    `${count(available)} available.`,
  'product.paused': (data) => `Paused ${scope(data)}: ${data.reason}`,
  'product.resumed': (data) => `Resumed ${scope(data)}.`,
  'product.archived': () => 'Archived.',
};

function changed(before, after) {
  const names = Object.keys(TERMS).filter((name) => before[name] !== after[name]);
  return names
    .map((name) => `${TERMS[name]} from ${value(name, before[name])} to ${value(name, after[name])}`)
    .join('; ');
}

function value(name, told) {
  if (told === null) return 'none';
  if (typeof told === 'boolean') return told ? 'yes' : 'no';
  return name.startsWith('sale') ? instant(told) : `“${told}”`;
}

/** An event in words. One of a type of a later version is shown by its name. */
export const eventWords = ({ type, data }) => WORDS[type]?.(data) ?? type;

/** Who made the change of an event. */
export const actorWords = ({ kind, id }) =>
  kind === 'admin' && id === null ? events.commandLine : (events.actors[kind] ?? kind);
