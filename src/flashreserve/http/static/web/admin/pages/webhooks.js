/* The list of webhook endpoints. */
import { html, useState } from '../../shared/html.js';
import { Secret } from '../copying.js';
import { Page } from '../page.js';
import { Loaded, useResource } from '../resource.js';
import { thingAddress } from '../router.js';
import { Table } from '../table.js';
import { endpointState, webhooks as texts } from '../texts/webhooks.js';
import { addEndpoint } from '../webhook_changes.js';

const COLUMNS = [
  { head: texts.url, cell: ({ id, url }) => html`<a class="written" href=${thingAddress('webhooks', id)}>${url}</a>` },
  { head: texts.events, cell: ({ events }) => texts.typesOf(events) },
  { head: texts.state, cell: endpointState },
];

/** The page Webhooks. */
export default function Webhooks() {
  const [added, setAdded] = useState(null);
  const found = useResource('webhooks');
  const add = async () => {
    const done = await addEndpoint();
    if (!done) return;
    setAdded(done.data);
    found.reload();
  };
  return html`<${Page} title=${texts.title}>
    <p>${texts.intro}</p>
    ${added && html`<${Secret} label=${texts.secret(added.url)} value=${added.secret} />`}
    <div class="actions"><button type="button" class="primary" onClick=${add}>${texts.add}</button></div>
    <${Loaded} from=${found}>
      ${({ items }) =>
        html`<${Table} caption=${texts.caption} columns=${COLUMNS} rows=${items} empty=${texts.empty} />`}
    <//>
  <//>`;
}
