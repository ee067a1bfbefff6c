/* One product: its rules and stock, what happened to it, and the changes of it. */
import { html, useState } from '../../shared/html.js';
import { root } from '../../shared/api.js';
import { price, Time } from '../../shared/format.js';
import { CopyButton, quoted } from '../copying.js';
import { useOverview } from '../overview.js';
import { Page, Section } from '../page.js';
import { archiveProduct, editProduct, restockProduct, takeProductBack } from '../product_changes.js';
import { ProductFigures } from '../product_figures.js';
import { Loaded, useResource } from '../resource.js';
import { pageAddress } from '../router.js';
import { SaleActions } from '../sale_actions.js';
import { SaleState, StockBar } from '../sale_state.js';
import { StorefrontLink } from '../storefront.js';
import { Facts } from '../table.js';
import { product as texts, products } from '../texts/products.js';
import { Trail } from '../trail.js';

const FIGURES_MS = 3000;

/** The page of the product with this id. */
export default function Product({ id }) {
  const [version, setVersion] = useState(0);
  const shown = useResource(`products/${id}`, { version });
  const figures = useResource(`products/${id}/figures`, { everyMs: FIGURES_MS, version });
  const again = () => setVersion((before) => before + 1);
  const title = shown.data?.name ?? texts.title;
  return html`<${Page} title=${title} above=${[pageAddress('products'), products.title]}>
    <${Loaded} from=${shown}>
      ${(product) => html`<${Shown} ...${{ product, figures, version, again }} />`}
    <//>
  <//>`;
}

function Shown({ product, figures, version, again }) {
  const { overview } = useOverview();
  const { available, held = 0, sold = 0, stockQuantity } = figures.data ?? product;
  const sale = { ...product, available, held, sold, stockQuantity };
  const act = (changeProduct) => async () => (await changeProduct(sale)) && again();
  return html`
    ${product.archived ? html`<p class="banner">${texts.archived}</p>` : html`<${SaleState} sale=${sale} />`}
    <${StockBar} sale=${sale} />
    <div class="actions">
      ${
        !product.archived &&
        html`<${SaleActions} sale=${sale} shopPauseReason=${overview?.shopPauseReason ?? null} onChange=${again} />`
      }
      <button type="button" onClick=${act(restockProduct)}>${texts.restock}</button>
      <button type="button" onClick=${act(editProduct)}>${texts.edit}</button>
      ${
        product.archived
          ? html`<button type="button" onClick=${act(takeProductBack)}>${texts.takeBack}</button>`
          : html`<button type="button" onClick=${act(archiveProduct)}>${texts.archive}</button>`
      }
    </div>
    <ul class="links">
      <li><${StorefrontLink} productId=${product.id} text=${texts.storefront} /></li>
      <li><a href=${pageAddress('reservations', { productId: product.id })}>${texts.reservations}</a></li>
    </ul>
    <${Section} title=${texts.rules}><${Rules} product=${product} /><//>
    <${Loaded} from=${figures}>${(data) => html`<${ProductFigures} figures=${data} />`}<//>
    <${Section} title=${texts.ledger}>
      <${Trail} id=${product.id} caption=${texts.ledgerCaption} empty=${texts.ledgerEmpty} version=${version} />
    <//>
    <${Section} title=${texts.programs}><${Programs} product=${product} /><//>
  `;
}

function Rules({ product }) {
  const { saleStartsAt, saleEndsAt, perCustomerLimit } = product;
  return html`<${Facts}
    entries=${[
      [texts.price, price(product.price, product.currency)],
      [texts.opens, saleStartsAt ? html`<${Time} at=${saleStartsAt} />` : texts.atOnce],
      [texts.ends, saleEndsAt ? html`<${Time} at=${saleEndsAt} />` : texts.never],
      [texts.limit, perCustomerLimit ?? texts.noLimit],
      [texts.hold, texts.minutes(product.holdSeconds)],
      [texts.extensions, product.maxExtensions],
      [texts.externalId, product.externalId],
      [texts.id, html`<code>${product.id}</code>`],
      [texts.description, product.description && html`<span class="written">${product.description}</span>`],
    ]}
  />`;
}

const MADE_WITH = [
  ...['name', 'price', 'currency', 'stockQuantity', 'saleStartsAt', 'saleEndsAt', 'perCustomerLimit', 'holdSeconds'],
  ...['maxExtensions', 'externalId', 'description', 'imageUrl', 'metadata'],
];

function Programs({ product }) {
  const { id } = product;
  const body = Object.fromEntries(
    MADE_WITH.map((name) => [name, product[name]]).filter(([, value]) => value !== null),
  );
  return html`<div class="actions">
    <${CopyButton} label=${texts.curlCreate} text=${curl('products', body)} />
    <${CopyButton} label=${texts.curlReserve} text=${curl(`products/${id}/reservations`, { quantity: 1 }, true)} />
  </div>`;
}

/** A request as a command line. The token comes from a variable, so that none gets into a shell's history. */
function curl(path, body, keyed = false) {
  const headers = ['Authorization: Bearer $TOKEN', 'Content-Type: application/json'];
  if (keyed) headers.push('Idempotency-Key: $(uuidgen)');
  const lines = headers.map((header) => `  -H "${header}"`);
  return [`curl ${quoted(`${location.origin}${root}${path}`)}`, ...lines, `  -d ${quoted(JSON.stringify(body))}`].join(
    ' \\\n',
  );
}
