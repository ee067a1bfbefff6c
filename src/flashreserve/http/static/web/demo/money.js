/* Sums of money. Prices are decimal texts; as binary fractions, three times 1.10 would be 3.3000000000000003. */
import { price } from '../shared/format.js';

/** The price of several units, as decimal text. */
export function total(priceText, quantity) {
  const [whole, fraction = ''] = priceText.split('.');
  const minor = String(BigInt(whole + fraction) * BigInt(quantity)).padStart(fraction.length + 1, '0');
  if (fraction === '') return minor;
  return `${minor.slice(0, -fraction.length)}.${minor.slice(-fraction.length)}`;
}

/** What the units of a product in a reservation cost, for people. The price is that of when they were held. */
export function sumText({ lines }, productId) {
  const { quantity, returned, unitPrice, currency } = lines.find((line) => line.productId === productId);
  return price(total(unitPrice, quantity - returned), currency);
}
