/* Audits: the last verdicts, and a new one. */
import { html, useState } from '../../shared/html.js';
import { count, Time } from '../../shared/format.js';
import { change } from '../changes.js';
import { Page, Section } from '../page.js';
import { ProductLink } from '../product_names.js';
import { Loaded, useResource } from '../resource.js';
import { thingAddress } from '../router.js';
import { askPatiently } from '../session.js';
import { Id, Table } from '../table.js';
import { audit as texts, verdictWords } from '../texts/audit.js';

/** The page Audit. */
export default function Audit() {
  const [version, setVersion] = useState(0);
  const found = useResource('audits', { version });
  const run = async () => {
    const done = await change({
      title: texts.run,
      effect: texts.runEffect,
      confirm: texts.run,
      run: () => askPatiently('POST', 'audits'),
      done: texts.done,
      good: ({ clean }) => clean,
    });
    if (done) setVersion(version + 1);
  };
  return html`<${Page} title=${texts.title}>
    <p>${texts.intro}</p>
    <div class="actions"><button type="button" class="primary" onClick=${run}>${texts.run}</button></div>
    <${Loaded} from=${found}>${({ items }) => html`<${Verdicts} items=${items} />`}<//>
  <//>`;
}

const COLUMNS = [
  { head: texts.when, cell: ({ at }) => html`<${Time} at=${at} />` },
  { head: texts.verdict, cell: verdictWords },
  { head: texts.read, cell: texts.amount },
  { head: texts.unreadable, numeric: true, cell: ({ unreadable }) => count(unreadable) },
  { head: texts.took, numeric: true, cell: ({ tookMs }) => texts.ms(tookMs) },
  {
    head: texts.by,
    cell: ({ by }) => by && html`<${Id} id=${by} href=${isAccount(by) && thingAddress('customers', by)} />`,
  },
];

const isAccount = (by) => /^[0-9a-f-]{36}$/.test(by);

function Verdicts({ items }) {
  const [last] = items;
  return html`
    ${
      last &&
      html`<${Section} title=${texts.last}>
      <p><strong>${verdictWords(last)}</strong> <${Time} at=${last.at} /></p>
      ${last.differences.length > 0 && html`<${Differences} rows=${last.differences} />`}
      ${last.setAside.length > 0 && html`<${SetAside} rows=${last.setAside} />`}
    <//>`
    }
    <${Table} caption=${texts.caption} columns=${COLUMNS} rows=${items} empty=${texts.empty} />
  `;
}

function Differences({ rows }) {
  const figure = (name) => ({ head: texts[name], numeric: true, cell: (row) => count(row[name]) });
  const columns = [
    { head: texts.product, cell: ({ productId }) => html`<${ProductLink} id=${productId} />` },
    ...['stocked', 'live', 'moving', 'available', 'expected'].map(figure),
  ];
  const rowKey = ({ productId }) => productId;
  return html`<${Table} caption=${texts.differences} columns=${columns} rows=${rows} rowKey=${rowKey} />`;
}

function SetAside({ rows }) {
  const columns = ['kind', 'id', 'why'].map((name) => ({ head: texts[name], cell: (row) => row[name] }));
  return html`<${Table} caption=${texts.setAsideCaption} columns=${columns} rows=${rows} />`;
}
