/* The state of a sale: in words, with its countdown, and as a bar. */
import { html, useState } from '../shared/html.js';
import { serverNow } from '../shared/clock.js';
import { clockText, Time } from '../shared/format.js';
import { useEvery } from './resource.js';
import { saleState as texts } from './texts/today.js';

/** The state of a sale at `now`: `paused`, `before`, `ended` or `open`. */
export function stateOf({ pauseReason, saleStartsAt, saleEndsAt }, now = serverNow()) {
  if (saleEndsAt && Date.parse(saleEndsAt) <= now) return 'ended';
  if (pauseReason !== null) return 'paused';
  return saleStartsAt && Date.parse(saleStartsAt) > now ? 'before' : 'open';
}

/** The state of a sale in words. A countdown runs on by itself. */
export function SaleState({ sale }) {
  const [, setTicks] = useState(0);
  useEvery(1000, () => setTicks((before) => before + 1));
  const { saleStartsAt, saleEndsAt, available } = sale;
  const now = serverNow();
  const state = stateOf(sale, now);
  if (state === 'ended') return html`<p class="state">${texts.ended} <${Time} at=${saleEndsAt} /></p>`;
  const opening = saleStartsAt && Date.parse(saleStartsAt) - now;
  return html`
    ${state === 'paused' && html`<p class="state paused">${texts.paused(sale.pauseReason)}</p>`}
    ${
      opening > 0
        ? html`<p class="state">
          <strong role="timer">${texts.opensIn(clockText(opening))}</strong>, <${Time} at=${saleStartsAt} />
        </p>`
        : state === 'open' &&
          html`<p class="state">
          ${saleStartsAt ? html`${texts.openSince} <${Time} at=${saleStartsAt} />` : texts.open}
          ${available === 0 && html` · <strong>${texts.soldOut}</strong>`}
        </p>`
    }
  `;
}

/** Units available, held and sold: as words, and as a bar, which is for those who see it. */
export function StockBar({ sale }) {
  const whole = Math.max(1, sale.stockQuantity);
  const part = (name) => html`<span class=${name} style=${{ width: `${(100 * sale[name]) / whole}%` }}></span>`;
  return html`<div class="stock">
    <div class="bar" aria-hidden="true">${part('sold')}${part('held')}${part('available')}</div>
    <p class="legend-text">
      ${texts
        .parts(sale)
        .map(
          ([name, text]) => html`<span key=${name}><i class="swatch ${name}" aria-hidden="true"></i>${text}</span>`,
        )}
    </p>
  </div>`;
}
