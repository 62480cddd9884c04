// The reader's choices, in cookies that the server reads.
window.kurswerk = (() => {
  const year = 31536000;
  // What a reverse proxy puts in front of every address.
  const prefix = window.location.pathname.split('/dashboard')[0];
  const keep = (name, value) => {
    document.cookie = `${name}=${encodeURIComponent(value)}; path=${prefix}/dashboard; max-age=${year}; samesite=lax`;
  };
  const kept = (name) => (document.cookie.match(new RegExp(`(?:^|; )${name}=([^;]*)`)) || [])[1];
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone || 'UTC';
  const root = document.documentElement;
  const system = window.matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light';
  // What the server was sent before decides what it has begun to send; where that has changed, ask anew.
  let outdated = false;
  for (const [name, value] of [['kw_zone', zone], ['kw_system', system]]) {
    const before = kept(name);
    if (before && decodeURIComponent(before) === value) continue;
    keep(name, value);
    outdated = outdated || !!before;
  }
  if (!kept('kw_scheme')) root.dataset.mantineColorScheme = root.dataset.agThemeMode = system;
  if (outdated) window.location.reload();
  const go = (href) => {
    const known = !href.startsWith('/') || (prefix && href.startsWith(`${prefix}/`));
    window.history.pushState({}, '', known ? href : prefix + href);
    window.dispatchEvent(new CustomEvent('_dashprivate_pushstate'));
    window.scrollTo(0, 0);
  };
  // Filters stand in the address, so that it can be sent to somebody.
  const query = (values) => {
    const address = new URL(window.location.href);
    for (const [name, value] of Object.entries(values)) {
      const text = Array.isArray(value) ? value.join(',') : value;
      if (text === null || text === undefined || text === '' || text === false) address.searchParams.delete(name);
      else address.searchParams.set(name, text);
    }
    window.history.replaceState(window.history.state, '', address);
  };
  const pageLanguage = () => root.lang || 'en';
  const isMissing = (value) => value === null || value === undefined || value === '' || Number.isNaN(value);
  // To make one of these takes longer than to write a hundred values.
  const forms = {};
  const form = (name, make) => (forms[`${pageLanguage()} ${name}`] ||= make(pageLanguage()));
  const styles = {
    small: {maximumSignificantDigits: 2},
    tiny: {maximumSignificantDigits: 2, notation: 'scientific'},
  };
  const numbers = (digits) =>
    form(`number ${digits}`, (language) => new Intl.NumberFormat(
      language, styles[digits] || {minimumFractionDigits: digits, maximumFractionDigits: digits}));
  // English is written in many countries, and each has its own order of day and month.
  const region = () => (navigator.languages || []).find((one) => one.split('-')[0] === pageLanguage()) || pageLanguage();
  const moment = (value) =>
    form('moment', () => new Intl.DateTimeFormat(region(), {dateStyle: 'medium', timeStyle: 'short'}))
      .format(new Date(value));
  // A day is the same one everywhere; that of a moment is its day in UTC.
  const day = (value) =>
    form('day', () => new Intl.DateTimeFormat(region(), {dateStyle: 'medium', timeZone: 'UTC'}))
      .format(new Date(value));
  const number = (value, digits) => {
    if (isMissing(value)) return '–';
    const size = Math.abs(value);
    const small = digits > 0 && value !== 0 && size < 10 ** -digits;
    // As the server writes them: nobody counts more zeros than nine.
    const style = small ? (Number(size.toExponential(1)) < 1e-9 ? 'tiny' : 'small') : digits;
    return numbers(style).format(value).replaceAll('-', '−');
  };
  // The percent sign with the space that the language puts before it, if any.
  const percentSign = () => form('percent sign', (language) => new Intl.NumberFormat(language, {style: 'percent'})
    .formatToParts(1).filter(({type}) => type !== 'integer').map(({value}) => value).join(''));
  const share = (value, digits) => (isMissing(value) ? '–' : `${number(100 * value, digits)}${percentSign()}`);
  // What somebody has chosen has the decimals that it was given, at most two.
  const threshold = (value) => (isMissing(value) ? '–' : `${form('threshold', (language) =>
    new Intl.NumberFormat(language, {maximumFractionDigits: 2})).format(100 * value)}${percentSign()}`);
  const signed = (value, digits, unit = '') =>
    isMissing(value) ? '–' : `${value < 0 ? '' : '+'}${number(value, digits)}${unit}`;
  // The last of ascending values that is not above the one given.
  const place = (values, value) => {
    let k = 0;
    while (k + 1 < values.length && values[k + 1] <= value + 1e-9) k += 1;
    return k;
  };
  // Names a field that has no name for screen readers, as soon as it is there.
  const label = (selector, text, tries = 100) => {
    const field = document.querySelector(selector);
    if (field) field.setAttribute('aria-label', text);
    else if (tries) setTimeout(label, 100, selector, text, tries - 1);
  };
  // Places that are filled when they come into sight, or nearly.
  const visibility = new IntersectionObserver((news) => news.forEach(({isIntersecting, target}) => {
    if (!isIntersecting) return;
    visibility.unobserve(target);
    target.dataset.seen = true;
    dash_clientside.set_props(target.id, {'data-seen': true});
  }), {rootMargin: '100px'});
  const places = document.getElementsByClassName('kw-lazy');
  new MutationObserver(() => {
    for (const place of places) if (!place.dataset.seen) visibility.observe(place);
  }).observe(root, {childList: true, subtree: true});
  const setPageLoading = (is) => {
    const page = document.getElementById('page');
    if (!page) return;
    page.classList.toggle('kw-loading-page', is);
    page.ariaBusy = String(is);
  };
  // The name of a page that is on its way stands above its grey shape until it is there.
  const showPageTitle = (path) => {
    const link = document.querySelector(`nav a[href="${CSS.escape(path)}"]`);
    document.getElementById('page').dataset.title = link ? link.innerText.trim() : '';
    setPageLoading(true);
  };
  // A request to a server that is gone has no answer, and Dash does not show that.
  const {fetch} = window;
  const answered = (well) => {
    const words = document.getElementById('no-answer');
    if (words) words.hidden = well;
    if (!well) setPageLoading(false);
  };
  let leaving = false;
  window.addEventListener('pagehide', () => { leaving = true; });
  window.addEventListener('pageshow', () => { leaving = false; });
  window.fetch = async (...asked) => {
    try {
      const answer = await fetch(...asked);
      answered(answer.status < 500);
      return answer;
    } catch (error) {
      answered(leaving || error.name === 'AbortError');
      throw error;
    }
  };
  // Dash keeps what every input was before, to undo it, for as long as a page is open; here nothing is undone.
  setInterval(() => window.store?.getState().history.past.splice(0), 10000);
  // A chart that was moved notifies Dash, and Dash draws it once more as it stands: half of the work of every zoom.
  // What Plotly added to the layout, such as ranges it chose itself, does not count.
  const within = (part, whole) =>
    part === whole ||
    (!!part && !!whole && typeof part === 'object' && typeof whole === 'object' &&
      (!Array.isArray(part) || part.length === whole.length) &&
      Object.keys(part).every((key) => within(part[key], whole[key])));
  let plotly;
  Object.defineProperty(window, 'Plotly', {
    get: () => plotly,
    set(library) {
      const {react} = library;
      library.react = (chart, drawing, ...more) =>
        chart.data && chart.data === drawing.data && within(drawing.layout, chart.layout) ? Promise.resolve(chart) : react(chart, drawing, ...more);
      plotly = library;
    },
  });
  return {
    go,
    showPageTitle,
    setPageLoading,
    label,
    query,
    isMissing,
    number,
    moment,
    day,
    share,
    threshold,
    percentSign,
    signed,
    place,
    setPreference(name, value) {
      if (value && value !== root.lang) { keep(name, value); window.location.reload(); }
    },
    toggleScheme() {
      keep('kw_scheme', root.dataset.agThemeMode === 'dark' ? 'light' : 'dark');
      window.location.reload();
    },
  };
})();
