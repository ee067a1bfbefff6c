import { html } from '../shared/html.js';
import { openSale, pauseSale, resumeSale } from './sale_changes.js';
import { stateOf } from './sale_state.js';
import { saleChanges as texts } from './texts/today.js';

/** The buttons that change a sale. */
export function SaleActions({ sale, shopPauseReason, onChange }) {
  const act = (changeSale) => async () => (await changeSale(sale)) && onChange?.();
  const ownPause = sale.pauseReason !== null && sale.pauseReason !== shopPauseReason;
  const opens = sale.saleStartsAt && stateOf({ ...sale, pauseReason: null }) === 'before';
  return html`
    ${
      ownPause
        ? html`<button type="button" class="primary" aria-label=${texts.resumeOf(sale.name)} onClick=${act(resumeSale)}>
          ${texts.resume}
        </button>`
        : html`<button type="button" aria-label=${texts.pauseOf(sale.name)} onClick=${act(pauseSale)}>
          ${texts.pause}
        </button>`
    }
    ${
      opens &&
      html`<button type="button" aria-label=${texts.openNowOf(sale.name)} onClick=${act(openSale)}>
      ${texts.openNow}
    </button>`
    }
  `;
}
