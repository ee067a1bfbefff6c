/* The trail of one thing: who changed what, and when. */
import { html, useState } from '../shared/html.js';
import { Time } from '../shared/format.js';
import { Loaded, useResource } from './resource.js';
import { queryText, thingAddress } from './router.js';
import { Id, Table } from './table.js';
import { common } from './texts/common.js';
import { actorWords, eventWords, events as texts } from './texts/events.js';

const PEOPLE = ['customer', 'admin'];

function Actor({ actor }) {
  const { kind, id } = actor;
  const shown = id !== null && html`<${Id} id=${id} href=${PEOPLE.includes(kind) && thingAddress('customers', id)} />`;
  return html`${actorWords(actor)} ${shown}`;
}

const COLUMNS = [
  { head: texts.when, cell: ({ timestamp }) => html`<${Time} at=${timestamp} />` },
  { head: texts.who, cell: ({ actor }) => html`<${Actor} actor=${actor} />` },
  { head: texts.what, cell: eventWords },
];

/** The events of the thing with this id, oldest first, in pages. For `version` see `useResource`. */
export function Trail({ id, caption, empty, version }) {
  const [cursors, setCursors] = useState(['']);
  const found = useResource(`trail${queryText({ subject: id, cursor: cursors.at(-1) })}`, { version });
  return html`<${Loaded} from=${found}>
    ${({ items, nextCursor }) => html`
      <${Table} caption=${caption} columns=${COLUMNS} rows=${items} empty=${empty} />
      <div class="pager">
        ${cursors.length > 1 && html`<${Turn} text=${common.firstPage} turn=${() => setCursors([''])} />`}
        ${nextCursor && html`<${Turn} text=${common.nextPage} turn=${() => setCursors([...cursors, nextCursor])} />`}
      </div>
    `}
  <//>`;
}

const Turn = ({ text, turn }) => html`<button type="button" onClick=${turn}>${text}</button>`;
