/* The search for customers, and the list of accounts. */
import { html } from '../../shared/html.js';
import { Time } from '../../shared/format.js';
import { Filter } from '../filter.js';
import { Page } from '../page.js';
import { Loaded, useResource } from '../resource.js';
import { queryText, thingAddress, usePlace } from '../router.js';
import { Id, Pager, Table } from '../table.js';
import { customers as texts } from '../texts/customers.js';

const FIELDS = [{ name: 'who', label: texts.who, attributes: { autocomplete: 'off' } }];

const COLUMNS = [
  { head: texts.email, cell: ({ id, email }) => html`<a href=${thingAddress('customers', id)}>${email}</a>` },
  { head: texts.role, cell: ({ role }) => texts.roles[role] ?? role },
  { head: texts.state, cell: ({ disabledAt }) => (disabledAt ? texts.disabled : texts.enabled) },
  { head: texts.made, cell: ({ createdAt }) => html`<${Time} at=${createdAt} />` },
  { head: 'Id', cell: ({ id }) => html`<${Id} id=${id} />` },
];

/** The page Customers. */
export default function Customers() {
  const { who, cursor } = usePlace().query;
  return html`<${Page} title=${texts.title}>
    <p>${texts.intro}</p>
    <${Filter} fields=${FIELDS} />
    ${who ? html`<${Found} who=${who} />` : html`<${Accounts} cursor=${cursor} />`}
  <//>`;
}

/** What fits the search: the account with this address, and a link to the customer with this id. */
function Found({ who }) {
  const isAddress = who.includes('@');
  const found = useResource(isAddress ? `accounts${queryText({ email: who })}` : null);
  return html`
    ${
      isAddress &&
      html`<${Loaded} from=${found}>
      ${({ items }) =>
        html`<${Table} caption=${texts.caption} columns=${COLUMNS} rows=${items} empty=${texts.none(who)} />`}
    <//>`
    }
    <p><a href=${thingAddress('customers', who)}>${texts.openId(who)}</a></p>
  `;
}

function Accounts({ cursor }) {
  const found = useResource(`accounts${queryText({ cursor, limit: 50 })}`);
  return html`<${Loaded} from=${found}>
    ${({ items, nextCursor }) => html`
      <${Table} caption=${texts.caption} columns=${COLUMNS} rows=${items} empty=${texts.empty} />
      <${Pager} next=${nextCursor} count=${items.length} />
    `}
  <//>`;
}
