/* The tracker: what a shopper sees and does on a shop's pages, as events for POST /v1/events.
 *
 * It promises that nothing is stored or sent without consent, that an event stays in the queue
 * until the server has answered, and that nothing it does is ever thrown into the page. It owns
 * one global, `recsite`, and the localStorage entries that begin with "recsite.".
 *
 * ES2018, no dependency. docs/tracker.md says how a shop embeds it; `make tracker` minifies it.
 */
(() => {
  'use strict';

  const PREFIX = 'recsite.';
  const SECOND = 1000;
  const PATIENCE = 2 * SECOND; // until a batch that is not full is sent
  const FULL = 20;
  const MOST = 1000;
  const script = document.currentScript || {};
  const { key, endpoint, user: shopper, consent: asked } = script.dataset || {};
  const before = window.recsite || {};
  const refused = navigator.doNotTrack === '1' || navigator.globalPrivacyControl;
  let warned;

  const warn = (said) => {
    if (!warned) console.warn('recsite:', said);
    warned = true;
  };

  const safe = (act) => (...given) => {
    try {
      act(...given);
    } catch (error) {
      warn(error);
    }
  };

  const on = (target, name, act) => target.addEventListener(name, safe(act), true);

  const uuid = () =>
    '10000000-1000-4000-8000-100000000000'.replace(/[018]/g, (digit) =>
      (digit ^ (crypto.getRandomValues(new Uint8Array(1))[0] & (15 >> (digit / 4)))).toString(16));

  // ── what is kept: in localStorage, and in memory for where that is blocked or full ────────

  const memory = {};

  const stored = (act) => {
    try {
      return act(localStorage);
    } catch (error) {} // the shopper's browser allows none
  };

  const read = (name) => stored((store) => store.getItem(PREFIX + name)) || memory[name];

  const keep = (name, value) => {
    memory[name] = value;
    stored((store) => store.setItem(PREFIX + name, value));
    return value;
  };

  const drop = (name) => {
    delete memory[name];
    stored((store) => store.removeItem(PREFIX + name));
  };

  const names = () =>
    (stored((store) => Object.keys(store).sort()) || [])
      .filter((name) => name.startsWith(PREFIX))
      .map((name) => name.slice(PREFIX.length));

  const forget = () => names().concat(Object.keys(memory)).forEach(drop);

  // ── who it is ─────────────────────────────────────────────────────────────────────────────

  let allowed; // undefined: not said yet, and events wait in `held`, in memory alone
  let held = [];
  let user; // undefined: the page does not say; '': nobody is signed in
  let skew = 0;

  const anonymous = () => read('id') || keep('id', uuid());

  const session = () => {
    const [id, last] = (read('session') || '').split(' ');
    const now = Date.now();
    const current = now - last < 30 * 60 * SECOND ? id : uuid();
    keep('session', current + ' ' + now);
    return current;
  };

  /** Join what was anonymous to the user, once; after another user, begin anew. */
  const join = () => {
    const joined = read('user') || '';
    if (user === undefined || user === joined) return;
    if (joined) {
      keep('id', uuid());
      keep('session', '');
    }
    keep('user', user);
    if (user) event('identify');
  };

  // ── the queue: an entry of its own for each event, so that two tabs never overwrite one ───

  let address;
  let timer;
  let failures = 0;
  let flying = [];

  const queue = () => Object.keys(memory).filter((name) => name[0] === 'q');

  const written = (batch) => '[' + batch.map((name) => memory[name]) + ']';

  const time = () => new Date(Date.now() + skew).toISOString();

  const event = (name, fields) => {
    const happened = { event: name, event_id: uuid(), occurred_at: time(), ...fields };
    if (allowed) enqueue(happened);
    else if (allowed === undefined && held.length < MOST) held.push(happened);
  };

  const enqueue = (happened) => {
    const who = { anonymous_id: anonymous(), user_id: user || undefined, session_id: session() };
    keep('q' + Date.now() + '.' + happened.event_id, JSON.stringify({ ...who, ...happened }));
    queue().slice(0, -MOST).forEach(drop);
    schedule();
  };

  const schedule = () => {
    const { length } = queue();
    if (length >= FULL && !failures) send();
    else if (length && !timer) timer = setTimeout(safe(send), PATIENCE);
  };

  const send = () => {
    clearTimeout(timer);
    timer = 0;
    if (flying.length) return;
    const batch = (flying = queue().slice(0, FULL));
    if (!batch.length) return;
    const body = written(batch);
    const begun = Date.now();
    let pause = 0;
    // Plain text under a key in the address: a browser sends that without asking first.
    // A body that is kept alive past the page's end may hold 64 kB, beacons included.
    fetch(address, { method: 'POST', body, keepalive: body.length < 2e4 })
      .then((answer) => {
        const { status, headers } = answer;
        if (status === 429 || status >= 500) {
          pause = headers.get('Retry-After') * SECOND || 0;
          throw status;
        }
        failures = 0;
        batch.forEach(drop);
        correct(begun, Date.parse(headers.get('Date')));
        return answer.text().then((text) => {
          if (!answer.ok || !text.includes('"rejected":[]')) warn(text);
        });
      })
      .catch(() => {
        const backoff = Math.min(2 ** failures++, 300) * SECOND * (0.5 + Math.random() / 2);
        clearTimeout(timer);
        timer = setTimeout(safe(send), Math.min(Math.max(pause, backoff), 3600 * SECOND));
      })
      .then(() => {
        flying = [];
        schedule();
      });
  };

  /** Follow the server's clock where ours is over a minute off; not after the machine slept. */
  const correct = (begun, theirs) => {
    const now = Date.now();
    if (!allowed || !theirs || now - begun > 30 * SECOND) return;
    skew = Math.abs(theirs - now) > 60 * SECOND ? theirs - now : 0;
    keep('skew', skew);
  };

  const leave = () => {
    report();
    if (failures) return; // a beacon's fate is never told: what waits stays for the next page
    const left = queue().filter((name) => !flying.includes(name));
    while (left.length) {
      const batch = left.splice(0, FULL);
      if (navigator.sendBeacon(address, written(batch))) batch.forEach(drop);
    }
  };

  // ── what is seen: half of an item for a second, on a page that is looked at ───────────────

  let viewed = new Set(); // the products that the page is about
  const places = new WeakMap(); // item's element → what it was when last looked at
  const visible = new Map(); // element → the timer of its second
  const counted = new Set();
  const seen = new Map(); // slate → its impressions that are not in the queue yet
  let reporting;
  let scanning;
  let observer;

  /** Which item of which slate an element is; undefined outside of slates and lists. */
  const placed = (element) => {
    const list = element.closest('[data-recsite-slate]') || element.closest('[data-recsite-list]');
    if (!list) return undefined;
    const { recsiteItem, recsiteIndex } = element.dataset;
    const line = { item_id: recsiteItem, index: recsiteIndex ? +recsiteIndex : undefined };
    const slate = list.dataset.recsiteSlate || undefined;
    return { line, slate, name: slate + ' ' + recsiteItem };
  };

  const see = (element) => {
    const { line, slate, name } = placed(element) || {};
    if (!line || counted.has(name)) return;
    counted.add(name);
    const impressions = seen.get(slate) || { occurred_at: time(), items: [] };
    impressions.items.push(line);
    seen.set(slate, impressions);
    reporting = reporting || setTimeout(safe(report), SECOND);
  };

  const report = () => {
    clearTimeout(reporting);
    reporting = 0;
    seen.forEach((impressions, recommendation_id) =>
      event('view_item_list', { recommendation_id, ...impressions }));
    seen.clear();
  };

  const watch = (element, half) => {
    clearTimeout(visible.get(element));
    if (half) visible.set(element, document.hidden ? 0 : setTimeout(safe(see), SECOND, element));
    else visible.delete(element);
  };

  const each = (attribute, act) =>
    document.querySelectorAll('[data-recsite-' + attribute + ']').forEach(act);

  const scan = () => {
    scanning = 0;
    const now = new Set();
    each('view', (element) => now.add(element.dataset.recsiteView));
    now.forEach((item_id) => viewed.has(item_id) || event('view_item', { item_id }));
    viewed = now;
    each('item', (element) => {
      const place = placed(element);
      if (!place || places.get(element) === place.name) return;
      places.set(element, place.name);
      observer.unobserve(element); // observed again, it tells anew whether it is visible
      observer.observe(element);
    });
  };

  const click = ({ target, button }) => {
    const element = button < 2 && target.closest && target.closest('[data-recsite-item]');
    const place = element && placed(element);
    if (place) event('select_item', { recommendation_id: place.slate, items: [place.line] });
  };

  // ── what a page may call ──────────────────────────────────────────────────────────────────

  const calls = {
    event,
    user: (id) => {
      user = id ? '' + id : '';
      if (allowed) join();
    },
    consent: (yes) => {
      allowed = !!yes && !refused;
      const waiting = held;
      held = [];
      if (!allowed) return forget();
      names().forEach((name) => {
        const left = name[0] === 'q' && read(name); // by a page before this one
        if (left) memory[name] = left;
      });
      skew = +read('skew') || 0;
      join();
      waiting.forEach(safe(enqueue));
      return schedule();
    },
    flush: () => {
      report();
      send();
    },
    id: (tell) => tell(allowed ? anonymous() : undefined),
  };

  const start = () => {
    if (before.loaded || !key) return warn(key ? 'loaded twice' : 'data-key is missing');
    address = (endpoint || new URL('/v1/events', script.src)) + '?key=' + key;
    window.recsite = safe((name, ...given) => calls[name](...given));
    window.recsite.loaded = true;
    observer = new IntersectionObserver(
      safe((all) => all.forEach((one) => watch(one.target, one.intersectionRatio >= 0.5))),
      { threshold: 0.5 });
    if (shopper !== undefined) calls.user(shopper);
    (before.q || []).forEach((given) => window.recsite(...given));
    const granted = asked === undefined || asked === 'granted';
    if (refused || (granted && allowed === undefined)) calls.consent(true);
    scan();
    on(document, 'click', click);
    on(document, 'auxclick', click); // the wheel's, which opens another tab
    on(window, 'pagehide', leave);
    on(document, 'visibilitychange', () => {
      visible.forEach((_, element) => watch(element, true));
      if (document.hidden) leave();
    });
    on(window, 'storage', (change) => {
      // Another tab forgot the shopper.
      if (allowed && change.key === PREFIX + 'id' && !change.newValue) calls.consent(false);
    });
    const marks = ['view', 'item', 'slate', 'list'].map((name) => 'data-recsite-' + name);
    return new MutationObserver(
      safe(() => {
        scanning = scanning || setTimeout(safe(scan), SECOND / 10);
      })).observe(document, { childList: true, subtree: true, attributeFilter: marks });
  };

  safe(start)();
})();
