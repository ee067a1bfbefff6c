/* How many units are left, and how fresh that figure is. */
import { html } from '../shared/html.js';
import { stock as texts } from './texts.js';

/** A short break of the connection is no reason to doubt the figure. */
const DOUBT_MS = 5000;

/** The units left, as words and as a bar for those who see it. */
export function StockLine({ product, stock, connection, freshAtMs, now }) {
  const isOld = connection === 'reconnecting' && now - freshAtMs > DOUBT_MS;
  const width = `${(100 * stock.available) / Math.max(1, product.stockQuantity)}%`;
  return html`<div class="stock">
    <div class="bar" aria-hidden="true"><span class="available" style=${{ width }}></span></div>
    <p class="stock-words">
      <b id="left">${texts.left(stock.available, product.stockQuantity)}</b>
      <span class="connection ${connection}">${texts[connection]}</span>
    </p>
    ${isOld && html`<p id="old" class="banner">${texts.old(freshAtMs)}</p>`}
  </div>`;
}
