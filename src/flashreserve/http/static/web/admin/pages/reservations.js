/* The search for reservations. */
import { html } from '../../shared/html.js';
import { root } from '../../shared/api.js';
import { Time } from '../../shared/format.js';
import { Filter } from '../filter.js';
import { useOverview } from '../overview.js';
import { Page } from '../page.js';
import { useProduct } from '../product_names.js';
import { Lines, Status } from '../reservation_parts.js';
import { Loaded, useResource } from '../resource.js';
import { queryText, thingAddress, usePlace } from '../router.js';
import { Id, Pager, Table } from '../table.js';
import { reservations as texts } from '../texts/reservations.js';

const COLUMNS = [
  { head: texts.made, cell: ({ createdAt }) => html`<${Time} at=${createdAt} />` },
  { head: texts.reservation, cell: ({ id }) => html`<${Id} id=${id} href=${thingAddress('reservations', id)} />` },
  {
    head: texts.customer,
    cell: ({ userId }) => html`<${Id} id=${userId} href=${thingAddress('customers', userId)} />`,
  },
  { head: texts.units, cell: ({ lines }) => html`<${Lines} lines=${lines} />` },
  { head: texts.status, cell: ({ status }) => html`<${Status} status=${status} />` },
  {
    head: texts.until,
    cell: ({ status, expiresAt }) => (status === 'PENDING' ? html`<${Time} at=${expiresAt} />` : '–'),
  },
];

/** The page Reservations. */
export default function Reservations() {
  const { query } = usePlace();
  const { email, ...others } = query;
  const account = useResource(email ? `accounts${queryText({ email })}` : null);
  const found = account.data?.items[0];
  const filter = email ? { ...others, customerId: found?.id } : others;
  return html`<${Page} title=${texts.title}>
    <${Filter} fields=${useFields(query)} />
    ${
      email
        ? html`<${Loaded} from=${account}>
          ${() =>
            found ? html`<${Results} filter=${filter} />` : html`<p role="status">${texts.noAccount(email)}</p>`}
        <//>`
        : html`<${Results} filter=${filter} />`
    }
  <//>`;
}

function useFields({ productId }) {
  const { overview } = useOverview();
  const named = useProduct(productId ?? '');
  const sales = overview?.sales ?? [];
  const options = sales.map(({ id, name }) => [id, name]);
  if (productId && !sales.some(({ id }) => id === productId)) options.push([productId, named?.name ?? productId]);
  return [
    { name: 'id', label: texts.id, attributes: { autocomplete: 'off' } },
    { name: 'email', label: texts.email, type: 'email', attributes: { autocomplete: 'off' } },
    { name: 'customerId', label: texts.customerId, attributes: { autocomplete: 'off' } },
    { name: 'externalId', label: texts.externalId, attributes: { autocomplete: 'off' } },
    { name: 'productId', label: texts.product, type: 'select', options: [['', texts.anyProduct], ...options] },
    { name: 'status', label: texts.status, type: 'select', options: [['', texts.anyStatus], ...texts.statuses] },
    { name: 'from', label: texts.from, type: 'instant' },
    { name: 'to', label: texts.to, type: 'instant' },
  ];
}

function Results({ filter }) {
  const { id, cursor, ...listed } = filter;
  return id ? html`<${One} id=${id} />` : html`<${Many} cursor=${cursor} listed=${listed} />`;
}

function One({ id }) {
  const found = useResource(`reservations/${encodeURIComponent(id)}`);
  if (found.status === 404) return html`<p role="status">${texts.empty}</p>`;
  return html`<${Loaded} from=${found}>
    ${(one) => html`<${Table} caption=${texts.caption} columns=${COLUMNS} rows=${[one]} />`}
  <//>`;
}

function Many({ cursor, listed }) {
  const found = useResource(`reservations${queryText({ ...listed, cursor, limit: 50 })}`);
  return html`<p><a href="${root}reservations.csv${queryText(listed)}" download>${texts.csv}</a></p>
    <${Loaded} from=${found}>
      ${({ items, nextCursor }) => html`
        <${Table} caption=${texts.caption} columns=${COLUMNS} rows=${items} empty=${texts.empty} />
        <${Pager} next=${nextCursor} count=${items.length} />
      `}
    <//>`;
}
