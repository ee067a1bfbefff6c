/* Shown at addresses that the console doesn't know. */
import { html } from '../../shared/html.js';
import { Page } from '../page.js';
import { pageAddress, usePlace } from '../router.js';
import { unknown as texts } from '../texts/health.js';

/** Says that there is no such page. */
export default function UnknownPage() {
  const { path } = usePlace();
  return html`<${Page} title=${texts.title}>
    <p>${texts.text(pageAddress(path))}</p>
    <p><a href=${pageAddress()}>${texts.home}</a></p>
  <//>`;
}
