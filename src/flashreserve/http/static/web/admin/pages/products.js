/* The list of products. */
import { html } from '../../shared/html.js';
import { count, price, Time } from '../../shared/format.js';
import { Filter } from '../filter.js';
import { Page } from '../page.js';
import { Loaded, useResource } from '../resource.js';
import { pageAddress, queryText, thingAddress, usePlace } from '../router.js';
import { stateOf } from '../sale_state.js';
import { Pager, Table } from '../table.js';
import { products as texts } from '../texts/products.js';

const FIELDS = [
  { name: 'externalId', label: texts.externalId },
  {
    name: 'archived',
    label: texts.show,
    type: 'select',
    options: [
      ['', texts.listed],
      ['true', texts.archived],
    ],
  },
];

const COLUMNS = [
  { head: texts.name, cell: ({ id, name }) => html`<a href=${thingAddress('products', id)}>${name}</a>` },
  { head: texts.externalId, cell: ({ externalId }) => externalId ?? '–' },
  { head: texts.price, numeric: true, cell: (row) => price(row.price, row.currency) },
  { head: texts.available, numeric: true, cell: ({ available }) => count(available) },
  { head: texts.stock, numeric: true, cell: ({ stockQuantity }) => count(stockQuantity) },
  { head: texts.opens, cell: ({ saleStartsAt }) => (saleStartsAt ? html`<${Time} at=${saleStartsAt} />` : '–') },
  { head: texts.state, cell: (row) => (row.archived ? texts.archivedState : texts.states[stateOf(row)]) },
];

/** The page Products. */
export default function Products() {
  const { query } = usePlace();
  const found = useResource(`products${queryText({ ...query, limit: 50 })}`);
  const empty = query.externalId || query.archived ? texts.none : texts.empty;
  return html`<${Page} title=${texts.title}>
    <div class="actions"><a class="button" href=${pageAddress('products/new')}>${texts.add}</a></div>
    <${Filter} fields=${FIELDS} />
    <${Loaded} from=${found}>
      ${({ items, nextCursor }) => html`
        <${Table} caption=${texts.caption} columns=${COLUMNS} rows=${items} empty=${empty} />
        <${Pager} next=${nextCursor} count=${items.length} />
      `}
    <//>
  <//>`;
}
