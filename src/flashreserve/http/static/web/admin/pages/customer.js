/* One customer: the account, the units, and the rights that a person has over stored data. */
import { html, useState } from '../../shared/html.js';
import { count, instant, Time } from '../../shared/format.js';
import { tell } from '../changes.js';
import { Secret, saveFile } from '../copying.js';
import { disableAccount, enableAccount, eraseCustomer, makeResetCode, signOutAccount } from '../customer_changes.js';
import { Page, Section } from '../page.js';
import { ProductLink, useProduct } from '../product_names.js';
import { Fault, faultOf, Loaded, useResource } from '../resource.js';
import { go, pageAddress, queryText } from '../router.js';
import { askPatiently } from '../session.js';
import { Facts, Table } from '../table.js';
import { customer as texts, customers } from '../texts/customers.js';

const COUNTED = 200;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** The page of the customer with this id. */
export default function Customer({ id }) {
  const [version, setVersion] = useState(0);
  const account = useResource(UUID.test(id) ? `accounts/${id}` : null, { version });
  const held = useResource(`reservations${queryText({ customerId: id, limit: COUNTED })}`, { version });
  const again = () => setVersion((before) => before + 1);
  const none = !UUID.test(id) || account.status === 404;
  const title = account.data?.email ?? texts.title(id);
  return html`<${Page} title=${title} above=${[pageAddress('customers'), customers.title]}>
    <${Section} title=${texts.account}>
      ${
        none
          ? html`<p>${texts.noAccount}</p><${Facts} entries=${[[texts.id, html`<code>${id}</code>`]]} />`
          : html`<${Loaded} from=${account}>${(data) => html`<${Account} account=${data} again=${again} />`}<//>`
      }
    <//>
    <${Section} title=${texts.units}>
      <${Loaded} from=${held}>${(data) => html`<${Units} found=${data} />`}<//>
      <p><a href=${pageAddress('reservations', { customerId: id })}>${texts.reservations}</a></p>
    <//>
    <${Section} title=${texts.changes}><${Rights} id=${id} email=${account.data?.email} found=${held.data} /><//>
  <//>`;
}

function Account({ account, again }) {
  const [code, setCode] = useState(null);
  const act = (changeAccount) => async () => (await changeAccount(account)) && again();
  const reset = async () => {
    const made = await makeResetCode(account);
    if (made) setCode(made.data);
  };
  return html`
    <${Facts}
      entries=${[
        [texts.email, account.email],
        [texts.role, customers.roles[account.role] ?? account.role],
        [texts.made, html`<${Time} at=${account.createdAt} />`],
        [texts.disabledAt, account.disabledAt && html`<${Time} at=${account.disabledAt} />`],
        [texts.signedOutAt, account.signedOutAt && html`<${Time} at=${account.signedOutAt} />`],
        [texts.id, html`<code>${account.id}</code>`],
      ]}
    />
    <div class="actions">
      ${
        account.disabledAt
          ? html`<button type="button" onClick=${act(enableAccount)}>${texts.enable}</button>`
          : html`<button type="button" onClick=${act(disableAccount)}>${texts.disable}</button>
            <button type="button" onClick=${act(signOutAccount)}>${texts.signOut}</button>
            <button type="button" onClick=${reset}>${texts.resetCode}</button>`
      }
    </div>
    ${
      code &&
      html`<${Secret} label=${texts.resetLabel} value=${code.code} />
      <p>${texts.resetUntil(instant(code.expiresAt))}</p>`
    }
  `;
}

function Units({ found: { items, nextCursor } }) {
  const columns = [
    { head: texts.product, cell: ({ id }) => html`<${ProductLink} id=${id} />` },
    { head: texts.held, numeric: true, cell: ({ held }) => count(held) },
    { head: texts.bought, numeric: true, cell: ({ bought }) => count(bought) },
    { head: texts.limit, numeric: true, cell: ({ id }) => html`<${Limit} id=${id} />` },
  ];
  const rows = unitsByProduct(items);
  return html`<${Table} caption=${texts.unitsCaption} columns=${columns} rows=${rows} empty=${texts.unitsEmpty} />
    ${nextCursor && html`<p class="muted">${texts.newest(COUNTED)}</p>`}`;
}

const Limit = ({ id }) => useProduct(id)?.perCustomerLimit ?? texts.noLimit;

function unitsByProduct(reservations) {
  const rows = new Map();
  for (const { status, lines } of reservations) {
    if (status !== 'PENDING' && status !== 'CONFIRMED') continue;
    for (const { productId, quantity, returned } of lines) {
      const row = rows.get(productId) ?? { id: productId, held: 0, bought: 0 };
      row[status === 'PENDING' ? 'held' : 'bought'] += quantity - returned;
      rows.set(productId, row);
    }
  }
  return [...rows.values()];
}

/** Export and erasure, which a person may ask for. */
function Rights({ id, email, found }) {
  const [state, setState] = useState({});
  const save = async () => {
    if (state.busy) return;
    setState({ busy: true });
    const answer = await askPatiently('GET', `customers/${encodeURIComponent(id)}`).catch(() => undefined);
    if (!answer?.ok) return setState({ fault: faultOf(answer) });
    setState({});
    saveFile('customer.json', 'application/json', JSON.stringify(answer.data, null, 2));
    tell(texts.exported);
  };
  const erase = async () => {
    const reservations = found?.items.length ?? 0;
    if (await eraseCustomer({ id, email, reservations, more: Boolean(found?.nextCursor) }))
      go(pageAddress('customers'));
  };
  return html`<div class="actions">
      <button type="button" onClick=${save}>${state.busy ? texts.exporting : texts.export}</button>
      <button type="button" class="danger" onClick=${erase}>${texts.erase}</button>
    </div>
    ${state.fault && html`<${Fault} text=${state.fault} retry=${save} />`}`;
}
