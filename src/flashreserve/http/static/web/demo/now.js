/* The time in components. */
import { useEffect, useState } from '../shared/html.js';
import { serverNow } from '../shared/clock.js';

/** The time of the service, in ms. The component is drawn again this often. */
export function useNow(everyMs) {
  const [, setTicks] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => setTicks((before) => before + 1), everyMs);
    return () => clearInterval(timer);
  }, [everyMs]);
  return serverNow();
}
