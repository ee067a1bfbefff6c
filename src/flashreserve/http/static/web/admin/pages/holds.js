/* Holds: when they lapse, and which are open. */
import { html, useState } from '../../shared/html.js';
import { serverNow } from '../../shared/clock.js';
import { clockText, count } from '../../shared/format.js';
import { Chart } from '../charts.js';
import { Page, Section } from '../page.js';
import { cancelHold, Lines } from '../reservation_parts.js';
import { Loaded, useEvery, useResource } from '../resource.js';
import { queryText, thingAddress, usePlace } from '../router.js';
import { Facts, Id, Pager, Table } from '../table.js';
import { common } from '../texts/common.js';
import { holds as texts, reservations } from '../texts/reservations.js';

const HISTOGRAM_MS = 2000;
const LIST_MS = 5000;

/** The page Holds. */
export default function Holds() {
  const [version, setVersion] = useState(0);
  const again = () => setVersion((before) => before + 1);
  const lapses = useResource('holds', { everyMs: HISTOGRAM_MS, version });
  return html`<${Page} title=${texts.title}>
    <${Loaded} from=${lapses}>${(data) => html`<${Lapses} data=${data} />`}<//>
    <${Section} title=${texts.list}><${OpenHolds} again=${again} version=${version} /><//>
  <//>`;
}

function Lapses({ data: { everySeconds, lapsed, next, later } }) {
  const sum = (name) => next.reduce((total, bucket) => total + bucket[name], 0);
  const table = {
    caption: texts.histogram,
    columns: [
      { head: texts.inTime, cell: ({ from }) => texts.seconds(from) },
      { head: texts.holds, numeric: true, cell: (row) => count(row.holds) },
      { head: texts.units, numeric: true, cell: (row) => count(row.units) },
    ],
    rows: next.map((bucket, place) => ({ from: place * everySeconds, ...bucket })),
    rowKey: ({ from }) => from,
  };
  return html`
    <${Facts}
      entries=${[
        [texts.lapsed, texts.amount(lapsed)],
        [texts.next, texts.amount({ holds: sum('holds'), units: sum('units') })],
        [texts.later, texts.amount(later)],
      ]}
    />
    <${Chart}
      title=${texts.histogram}
      summary=${texts.histogramSummary(sum('holds'), later.holds)}
      times=${next.map((_, place) => (place + 0.5) * everySeconds)}
      series=${[{ label: texts.holds, values: next.map((bucket) => bucket.holds) }]}
      table=${table}
      bars=${true}
      spanX=${[0, next.length * everySeconds]}
      formatX=${texts.tick}
    />
  `;
}

function OpenHolds({ again, version }) {
  const { query } = usePlace();
  const path = `reservations${queryText({ status: 'PENDING', limit: 20, cursor: query.cursor })}`;
  const found = useResource(path, { everyMs: LIST_MS, version });
  const release = (held) => async () => (await cancelHold(held)) && again();
  const columns = [
    { head: texts.left, cell: ({ expiresAt }) => html`<${TimeLeft} until=${expiresAt} />` },
    {
      head: reservations.reservation,
      cell: ({ id }) => html`<${Id} id=${id} href=${thingAddress('reservations', id)} />`,
    },
    {
      head: reservations.customer,
      cell: ({ userId }) => html`<${Id} id=${userId} href=${thingAddress('customers', userId)} />`,
    },
    { head: reservations.units, cell: ({ lines }) => html`<${Lines} lines=${lines} />` },
    {
      head: common.action,
      cell: (held) =>
        html`<button type="button" aria-label=${texts.releaseOf(held.id)} onClick=${release(held)}>
          ${texts.release}
        </button>`,
    },
  ];
  return html`<${Loaded} from=${found}>
    ${({ items, nextCursor }) => html`
      <${Table} caption=${texts.listCaption} columns=${columns} rows=${items} empty=${texts.listEmpty} />
      <${Pager} next=${nextCursor} />
    `}
  <//>`;
}

function TimeLeft({ until }) {
  const [, setTicks] = useState(0);
  useEvery(1000, () => setTicks((before) => before + 1));
  const leftMs = Date.parse(until) - serverNow();
  return leftMs > 0 ? clockText(leftMs) : texts.lapsedNow;
}
