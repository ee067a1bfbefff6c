/* API keys of programs, and the admins. */
import { html, useEffect, useState } from '../../shared/html.js';
import { serverNow } from '../../shared/clock.js';
import { Time } from '../../shared/format.js';
import { Secret } from '../copying.js';
import { Page, Section } from '../page.js';
import { demoteAdmin, makeKey, promoteAccount, revokeKey } from '../people_changes.js';
import { Fault, listItems, Loaded, useResource } from '../resource.js';
import { thingAddress } from '../router.js';
import { useSession } from '../session.js';
import { Table } from '../table.js';
import { common } from '../texts/common.js';
import { people as texts } from '../texts/people.js';

const PAGES_MAX = 10;
const PAGE = 200;

/** The page Keys and people. */
export default function People() {
  return html`<${Page} title=${texts.title}>
    <${Section} title=${texts.keys}><${Keys} /><//>
    <${Section} title=${texts.admins}><${Admins} /><//>
  <//>`;
}

function Keys() {
  const [made, setMade] = useState(null);
  const found = useResource('api-keys');
  const make = async () => {
    const done = await makeKey();
    if (!done) return;
    setMade(done.data);
    found.reload();
  };
  const revoke = (key) => async () => (await revokeKey(key)) && found.reload();
  return html`
    <p>${texts.keysIntro}</p>
    ${made && html`<${Secret} label=${texts.key(made.apiKey.name)} value=${made.key} />`}
    <div class="actions"><button type="button" class="primary" onClick=${make}>${texts.make}</button></div>
    <${Loaded} from=${found}>
      ${({ items }) =>
        html`<${Table}
          caption=${texts.keysCaption}
          columns=${keyColumns(revoke)}
          rows=${items}
          empty=${texts.keysEmpty}
        />`}
    <//>
  `;
}

const keyColumns = (revoke) => [
  { head: texts.name, cell: ({ name }) => name },
  { head: texts.scopes, cell: ({ scopes }) => scopes.join(', ') },
  { head: texts.created, cell: ({ createdAt }) => html`<${Time} at=${createdAt} />` },
  { head: texts.lastUsed, cell: ({ lastUsedAt }) => (lastUsedAt ? html`<${Time} at=${lastUsedAt} />` : texts.never) },
  { head: texts.expires, cell: ({ expiresAt }) => (expiresAt ? html`<${Time} at=${expiresAt} />` : '–') },
  { head: texts.state, cell: keyState },
  {
    head: common.action,
    cell: (key) =>
      key.revokedAt
        ? '–'
        : html`<button type="button" aria-label=${texts.revokeOf(key.name)} onClick=${revoke(key)}>
            ${texts.revoke}
          </button>`,
  },
];

function keyState({ revokedAt, expiresAt }) {
  if (revokedAt) return texts.revoked;
  return expiresAt && Date.parse(expiresAt) <= serverNow() ? texts.expired : texts.works;
}

function Admins() {
  const { account: self } = useSession();
  const [state, setState] = useState({});
  const [version, setVersion] = useState(0);
  const again = () => setVersion((before) => before + 1);
  useEffect(() => {
    let gone = false;
    findAdmins()
      .catch(() => ({ fault: common.noAnswer }))
      .then((found) => gone || setState(found));
    return () => {
      gone = true;
    };
  }, [version]);
  const promote = async () => (await promoteAccount()) && again();
  const demote = (account) => async () => (await demoteAdmin(account)) && again();
  const columns = [
    {
      head: texts.email,
      cell: ({ id, email }) =>
        html`<a href=${thingAddress('customers', id)}>${email}</a> ${id === self.id && texts.you}`,
    },
    { head: texts.created, cell: ({ createdAt }) => html`<${Time} at=${createdAt} />` },
    {
      head: common.action,
      cell: (account) =>
        html`<button type="button" aria-label=${texts.demoteOf(account.email)} onClick=${demote(account)}>
          ${texts.demote}
        </button>`,
    },
  ];
  return html`
    <p>${texts.adminsIntro}</p>
    <div class="actions"><button type="button" class="primary" onClick=${promote}>${texts.promote}</button></div>
    ${state.fault && html`<${Fault} text=${state.fault} retry=${again} />`}
    ${
      state.admins
        ? html`<${Table}
          caption=${texts.adminsCaption}
          columns=${columns}
          rows=${state.admins}
          empty=${texts.adminsEmpty}
        />`
        : !state.fault && html`<p class="muted">${common.loading}</p>`
    }
    ${state.more && html`<p class="muted">${texts.adminsSearched(PAGES_MAX * PAGE)}</p>`}
  `;
}

/** The admins among the oldest accounts. Admins are usually among the first accounts of a shop. */
async function findAdmins() {
  const { items, more } = await listItems(`accounts?limit=${PAGE}`, PAGES_MAX);
  return { admins: items.filter(({ role }) => role === 'admin'), more };
}
