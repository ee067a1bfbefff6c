/* One webhook endpoint: its state, its attempts, and the changes of it. */
import { html, useState } from '../../shared/html.js';
import { count, Time } from '../../shared/format.js';
import { Secret } from '../copying.js';
import { Page, Section } from '../page.js';
import { Loaded, useResource } from '../resource.js';
import { go, pageAddress, queryText, usePlace } from '../router.js';
import { Facts, Id, Pager, Table } from '../table.js';
import { common } from '../texts/common.js';
import { attemptWords, endpointState, webhook as texts, webhooks } from '../texts/webhooks.js';
import * as changes from '../webhook_changes.js';

const REFRESH_MS = 2500;

/** The page of the endpoint with this id. */
export default function Webhook({ id }) {
  const [version, setVersion] = useState(0);
  const path = `webhooks/${encodeURIComponent(id)}`;
  const found = useResource(path, { everyMs: REFRESH_MS, version });
  const again = () => setVersion((before) => before + 1);
  return html`<${Page} title=${texts.title} above=${[pageAddress('webhooks'), webhooks.title]}>
    <${Loaded} from=${found}>
      ${(endpoint) => html`
        <${Endpoint} endpoint=${endpoint} again=${again} />
        <${Section} title=${texts.attempts}>
          <${Attempts} endpoint=${endpoint} path=${path} version=${version} again=${again} />
        <//>
      `}
    <//>
  <//>`;
}

function Endpoint({ endpoint, again }) {
  const [secret, setSecret] = useState(null);
  const act = (changeEndpoint) => async () => (await changeEndpoint(endpoint)) && again();
  const rotate = async () => {
    const done = await changes.rotateEndpoint(endpoint);
    if (!done) return;
    setSecret(done.data.secret);
    again();
  };
  const remove = async () => (await changes.removeEndpoint(endpoint)) && go(pageAddress('webhooks'));
  const button = (text, onClick) => html`<button type="button" onClick=${onClick}>${text}</button>`;
  return html`
    ${secret && html`<${Secret} label=${webhooks.secret(endpoint.url)} value=${secret} />`}
    <${EndpointFacts} endpoint=${endpoint} />
    <div class="actions">
      ${button(texts.test, act(changes.testEndpoint))} ${button(texts.edit, act(changes.editEndpoint))}
      ${button(texts.rotate, rotate)}
      ${
        endpoint.disabledAt
          ? button(texts.enable, act(changes.enableEndpoint))
          : button(texts.disable, act(changes.disableEndpoint))
      }
      <button type="button" class="danger" onClick=${remove}>${texts.remove}</button>
    </div>
  `;
}

function EndpointFacts({ endpoint }) {
  const { url, events, createdAt, disabledAt, failingSince, backlog, id } = endpoint;
  const time = (at) => at && html`<${Time} at=${at} />`;
  return html`<${Facts}
    entries=${[
      [texts.url, html`<span class="written">${url}</span>`],
      [texts.events, webhooks.typesOf(events)],
      [texts.state, endpointState(endpoint)],
      [texts.disabledSince, time(disabledAt)],
      [texts.failingSince, time(failingSince)],
      [texts.backlog, texts.backlogOf(backlog)],
      [texts.oldestDue, time(backlog.oldestDue)],
      [texts.made, time(createdAt)],
      [texts.id, html`<code>${id}</code>`],
    ]}
  />`;
}

function Attempts({ endpoint, path, version, again }) {
  const { cursor } = usePlace().query;
  const found = useResource(`${path}/deliveries${queryText({ cursor, limit: 20 })}`, { everyMs: REFRESH_MS, version });
  const resend = (eventId) => async () => (await changes.resendEvent(endpoint, eventId)) && again();
  const columns = [
    { head: texts.at, cell: ({ at }) => html`<${Time} at=${at} />` },
    { head: texts.event, cell: ({ eventId }) => html`<${Id} id=${eventId} />` },
    { head: texts.number, numeric: true, cell: ({ number }) => count(number) },
    { head: texts.result, cell: ({ result }) => texts.results[result] ?? result },
    { head: texts.answer, cell: attemptWords },
    {
      head: common.action,
      cell: ({ eventId }) =>
        html`<button type="button" aria-label=${texts.resendOf(eventId)} onClick=${resend(eventId)}>
          ${texts.resend}
        </button>`,
    },
  ];
  return html`
    <div class="actions"><button type="button" onClick=${resend()}>${texts.resendOther}</button></div>
    <${Loaded} from=${found}>
      ${({ items, nextCursor }) => html`
        <${Table} caption=${texts.attemptsCaption} columns=${columns} rows=${items} empty=${texts.attemptsEmpty} />
        <${Pager} next=${nextCursor} />
      `}
    <//>
  `;
}
