/* One reservation: what it has, what happened to it, and its end. */
import { html, useState } from '../../shared/html.js';
import { count, price, Time } from '../../shared/format.js';
import { Page, Section } from '../page.js';
import { ProductLink, useProductNames } from '../product_names.js';
import { cancelHold, returnUnits, Status, unitsLeft } from '../reservation_parts.js';
import { Loaded, useResource } from '../resource.js';
import { pageAddress, thingAddress } from '../router.js';
import { Facts, Id, Table } from '../table.js';
import { reservation as texts, reservations } from '../texts/reservations.js';
import { Trail } from '../trail.js';

/** The page of the reservation with this id. */
export default function Reservation({ id }) {
  const [version, setVersion] = useState(0);
  const found = useResource(`reservations/${encodeURIComponent(id)}`, { version });
  const again = () => setVersion((before) => before + 1);
  return html`<${Page} title=${texts.title(id)} above=${[pageAddress('reservations'), reservations.title]}>
    <${Loaded} from=${found}>${(held) => html`<${Shown} ...${{ held, version, again }} />`}<//>
  <//>`;
}

function Shown({ held, version, again }) {
  const nameOf = useProductNames();
  const act = (changeReservation) => async () => (await changeReservation(held, nameOf)) && again();
  const { externalId, metadata, status } = held;
  return html`
    <div class="actions">
      ${status === 'PENDING' && html`<button type="button" onClick=${act(cancelHold)}>${texts.cancel}</button>`}
      ${
        status === 'CONFIRMED' &&
        unitsLeft(held) > 0 &&
        html`<button type="button" onClick=${act(returnUnits)}>${texts.return}</button>`
      }
    </div>
    <${Facts}
      entries=${[
        [texts.status, html`<${Status} status=${status} />`],
        [texts.customer, html`<${Id} id=${held.userId} href=${thingAddress('customers', held.userId)} />`],
        [texts.made, html`<${Time} at=${held.createdAt} />`],
        [texts.until, status === 'PENDING' && html`<${Time} at=${held.expiresAt} />`],
        [texts.bought, held.confirmedAt && html`<${Time} at=${held.confirmedAt} />`],
        [texts.released, held.releasedAt && html`<${Time} at=${held.releasedAt} />`],
        [texts.externalId, externalId],
        [
          texts.metadata,
          Object.keys(metadata).length > 0 && html`<code class="written">${JSON.stringify(metadata, null, 1)}</code>`,
        ],
        [texts.id, html`<code>${held.id}</code>`],
      ]}
    />
    <${Table} caption=${texts.lines} columns=${LINES} rows=${held.lines} rowKey=${({ productId }) => productId} />
    <${Section} title=${texts.timeline}>
      <${Trail} id=${held.id} caption=${texts.timelineCaption} empty=${texts.timelineEmpty} version=${version} />
    <//>
  `;
}

const LINES = [
  { head: texts.product, cell: ({ productId }) => html`<${ProductLink} id=${productId} />` },
  { head: texts.quantity, numeric: true, cell: ({ quantity }) => count(quantity) },
  { head: texts.returned, numeric: true, cell: ({ returned }) => count(returned) },
  { head: texts.unitPrice, numeric: true, cell: ({ unitPrice, currency }) => price(unitPrice, currency) },
  { head: texts.amount, numeric: true, cell: amount },
];

/** The price of the units that are left. It is counted in the smallest units of the currency, because floats round. */
function amount({ unitPrice, quantity, returned, currency }) {
  const [whole, places = ''] = unitPrice.split('.');
  const smallest = String(BigInt(whole + places) * BigInt(quantity - returned)).padStart(places.length + 1, '0');
  const point = smallest.length - places.length;
  return price(places ? `${smallest.slice(0, point)}.${smallest.slice(point)}` : smallest, currency);
}
