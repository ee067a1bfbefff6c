/* The health of the service: checks, versions and settings. */
import { html } from '../../shared/html.js';
import { serverNow } from '../../shared/clock.js';
import { CopyButton } from '../copying.js';
import { Page, Section } from '../page.js';
import { Loaded, sentence, useResource } from '../resource.js';
import { Facts, Table } from '../table.js';
import { common } from '../texts/common.js';
import { health as texts } from '../texts/health.js';

/** The page Health. */
export default function Health() {
  const found = useResource('health');
  return html`<${Page} title=${texts.title}>
    <${Loaded} from=${found}>${(health) => html`<${Shown} health=${health} />`}<//>
  <//>`;
}

function Shown({ health }) {
  const good =
    health.checks.every(({ ok, needed }) => ok || !needed) &&
    health.findings.every(({ verdict }) => verdict !== 'fail');
  const columns = [
    { head: texts.check, cell: ({ name }) => name },
    {
      head: texts.result,
      cell: (check) => html`<${Result} good=${check.ok} text=${resultOf(check)} />`,
    },
    { head: texts.detail, cell: ({ detail }) => detail },
  ];
  const settings = [
    { head: texts.setting, cell: ({ name }) => html`<code>${name}</code>` },
    {
      head: texts.value,
      cell: ({ value }) =>
        value ? html`<code class="written">${value}</code>` : html`<span class="muted">${common.notSet}</span>`,
    },
  ];
  const byName = ({ name }) => name;
  return html`
    <p><strong>${good ? texts.good : texts.bad}</strong></p>
    <div class="actions"><${CopyButton} label=${texts.copy} text=${reportOf(health)} /></div>
    <${Section} title=${texts.checks}>
      <${Table} caption=${texts.checksCaption} columns=${columns} rows=${health.checks} rowKey=${byName} />
    <//>
    <${Section} title=${texts.findings}>
      <${Table} caption=${texts.findingsCaption} columns=${FINDINGS} rows=${health.findings} />
    <//>
    <${Section} title=${texts.versions}>
      <${Facts}
        entries=${[[texts.engine, health.engine], ...health.versions.map(({ name, value }) => [name, value])]}
      />
    <//>
    <${Section} title=${texts.settings}>
      <${Table} caption=${texts.settingsNote} columns=${settings} rows=${health.settings} rowKey=${byName} />
    <//>
  `;
}

const FINDINGS = [
  { head: texts.what, cell: ({ what }) => html`<code>${what}</code>` },
  {
    head: texts.result,
    cell: ({ verdict }) => html`<${Result} good=${verdict === 'ok'} text=${texts.verdicts[verdict] ?? verdict} />`,
  },
  {
    head: texts.seen,
    cell: ({ seen, advice }) => html`${seen}${advice && html` <strong>${sentence(advice)}</strong>`}`,
  },
];

const Result = ({ good, text }) => html`<span class="status ${good ? 'good' : 'bad'}">${text}</span>`;

function resultOf({ ok, needed }) {
  if (ok) return texts.ok;
  return needed ? texts.attention : texts.optional;
}

/** The same as plain text, to be sent to somebody who helps. */
function reportOf({ engine, versions, checks, findings, settings }) {
  return [
    texts.reportHead(new Date(serverNow()).toISOString()),
    '',
    `${texts.engine}: ${engine}`,
    ...versions.map(({ name, value }) => `${name}: ${value}`),
    '',
    ...checks.map((check) => `${resultOf(check)}: ${check.name}${check.detail && ` (${check.detail})`}`),
    '',
    ...findings.map(({ verdict, what, seen, advice }) =>
      [texts.verdicts[verdict] ?? verdict, `${what}: ${seen}`, advice].filter(Boolean).join(', '),
    ),
    '',
    ...settings.map(({ name, value }) => `${name}=${value}`),
    '',
  ].join('\n');
}
