/* The first thing that is shown: the server is asked who is signed in. */
import { html, useEffect, useState } from '../../shared/html.js';
import { Page } from '../page.js';
import { Fault } from '../resource.js';
import { checkSession } from '../session.js';
import { common } from '../texts/common.js';
import { signInTexts as texts } from '../texts/sign_in.js';

/** Shown until the server has told who is signed in. */
export default function Starting() {
  const [fault, setFault] = useState('');
  const check = () => checkSession().catch(() => setFault(common.noAnswer));
  useEffect(() => {
    check();
  }, []);
  return html`<${Page} title=${texts.starting}>
    ${fault ? html`<${Fault} text=${fault} retry=${check} />` : html`<p class="muted">${common.loading}</p>`}
  <//>`;
}
