/* The first thing that is shown: the server is asked who is signed in. */
import { html, useEffect, useState } from '../../shared/html.js';
import { Page } from '../page.js';
import { Fault, faultOf } from '../resource.js';
import { checkSession } from '../session.js';
import { common } from '../texts/common.js';
import { signInTexts as texts } from '../texts/sign_in.js';

/** Shown until the server has told who is signed in. */
export default function Starting() {
  const [fault, setFault] = useState('');
  const check = async () => {
    const answer = await checkSession().catch(() => undefined);
    // Any other answer says whether somebody is signed in, and another page is shown.
    if (!answer || answer.status >= 429) setFault(faultOf(answer));
  };
  useEffect(() => {
    check();
  }, []);
  return html`<${Page} title=${texts.starting}>
    ${fault ? html`<${Fault} text=${fault} retry=${check} />` : html`<p class="muted">${common.loading}</p>`}
  <//>`;
}
