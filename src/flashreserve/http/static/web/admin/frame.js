/* What surrounds every page: navigation, who is signed in, the state of the connection, and the shop-wide pause. */
import { html, useEffect, useState } from '../shared/html.js';
import { LiveRegion } from '../shared/live.js';
import { Changes, Notice, tell } from './changes.js';
import { useOverview } from './overview.js';
import { pageAddress, usePlace } from './router.js';
import { signOut, useSession } from './session.js';
import { StorefrontLink } from './storefront.js';
import { common } from './texts/common.js';
import { frame } from './texts/frame.js';

/** The frame of pages for admins. */
export function Frame({ children }) {
  return html`
    <a class="skip" href="#main" onClick=${skip}>${frame.skip}</a>
    <${Header} />
    <${PauseBanner} />
    <main id="main" tabindex="-1">
      <${Notice} />
      ${children}
    </main>
    <${Changes} />
    <${LiveRegion} />
  `;
}

/** The address stays as it is: a part of it after # would be another place in the history. */
function skip(event) {
  event.preventDefault();
  document.getElementById('main').focus();
}

/** The frame of pages for those who aren't signed in. */
export function Outside({ children }) {
  return html`
    <header class="top"><${Name} /></header>
    <main id="main" class="narrow"><${Notice} />${children}</main>
    <${LiveRegion} />
  `;
}

const Name = () => html`<a class="name" href=${pageAddress()}>${common.application} <span>${frame.console}</span></a>`;

function Header() {
  const { account } = useSession();
  const { connection } = useOverview();
  const leave = async () => {
    const answer = await signOut().catch(() => undefined);
    if (!answer?.ok) tell(common.noAnswer);
  };
  return html`<header class="top">
    <${Name} />
    <p class="connection ${connection}">${frame.connections[connection]}</p>
    <div class="account">
      <span class="email">${account.email}</span>
      <${StorefrontLink} text=${frame.storefront} />
      <button type="button" onClick=${leave}>${frame.signOut}</button>
    </div>
    <${Navigation} />
  </header>`;
}

function Navigation() {
  const place = usePlace();
  const [open, setOpen] = useState(false);
  useEffect(() => setOpen(false), [place]);
  const section = place.path.split('/')[0];
  const mark = (path) => (path === place.path ? 'page' : path === section && path ? 'true' : undefined);
  const close = (event) => event.key === 'Escape' && setOpen(false);
  return html`<nav class="sections" aria-label=${frame.navigation} onKeyDown=${close}>
    <button
      type="button"
      class="menu"
      aria-expanded=${String(open)}
      aria-controls="sections"
      onClick=${() => setOpen(!open)}
    >
      ${frame.menu}
    </button>
    <ul id="sections" class=${open ? 'open' : undefined}>
      ${frame.sections.map(
        ([path, text]) =>
          html`<li key=${path}><a href=${pageAddress(path)} aria-current=${mark(path)}>${text}</a></li>`,
      )}
    </ul>
  </nav>`;
}

function PauseBanner() {
  const { overview } = useOverview();
  const reason = overview?.shopPauseReason;
  return (
    reason &&
    html`<div class="banner" role="region" aria-label=${frame.pauseRegion}>
      <p><strong>${frame.allPaused}</strong> ${reason}</p>
    </div>`
  );
}
