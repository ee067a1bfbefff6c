/* Sums of money. Prices are decimal texts, and binary fractions can't hold them: 3 × 19.99 would be 59.97000000000001. */
import { price } from '../shared/format.js';

/** The price of several units, as decimal text. */
export function total(priceText, quantity) {
  const [whole, fraction = ''] = priceText.split('.');
  const minor = String(BigInt(whole + fraction) * BigInt(quantity)).padStart(fraction.length + 1, '0');
  if (fraction === '') return minor;
  return `${minor.slice(0, -fraction.length)}.${minor.slice(-fraction.length)}`;
}

/** What the units of a product in a reservation cost, for people. The price is that of the time when they were held. */
export function sumText({ lines }, productId) {
  const { quantity, returned, unitPrice, currency } = lines.find((line) => line.productId === productId);
  return price(total(unitPrice, quantity - returned), currency);
}
