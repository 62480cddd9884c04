// The reader's choices, in cookies that the server reads.
window.kurswerk = (() => {
  const year = 31536000;
  const keep = (name, value) => {
    document.cookie = `${name}=${encodeURIComponent(value)}; path=/dashboard; max-age=${year}; samesite=lax`;
  };
  const kept = (name) => (document.cookie.match(new RegExp(`(?:^|; )${name}=([^;]*)`)) || [])[1];
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone || 'UTC';
  if (decodeURIComponent(kept('kw_zone') || '') !== zone) keep('kw_zone', zone);
  const root = document.documentElement;
  if (!kept('kw_scheme') && window.matchMedia('(prefers-color-scheme: dark)').matches) {
    keep('kw_scheme', 'dark');
    root.dataset.mantineColorScheme = root.dataset.agThemeMode = 'dark';
  }
  const go = (href) => {
    window.history.pushState({}, '', href);
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
  const tongue = () => root.lang || 'en';
  const none = (value) => value === null || value === undefined || value === '' || Number.isNaN(value);
  const number = (value, digits) => {
    if (none(value)) return '–';
    const small = digits > 0 && value !== 0 && Math.abs(value) < 10 ** -digits;
    const form = small ? {maximumSignificantDigits: 2} : {minimumFractionDigits: digits, maximumFractionDigits: digits};
    return new Intl.NumberFormat(tongue(), form).format(value).replace('-', '−');
  };
  const share = (value, digits) => (none(value) ? '–' : `${number(100 * value, digits)} %`);
  const signed = (value, digits, unit = '') =>
    none(value) ? '–' : `${value < 0 ? '' : '+'}${number(value, digits)}${unit}`;
  // The last of ascending values that is not above the one given.
  const place = (values, value) => {
    let k = 0;
    while (k + 1 < values.length && values[k + 1] <= value + 1e-9) k += 1;
    return k;
  };
  return {
    go,
    query,
    number,
    share,
    signed,
    place,
    choose(name, value) {
      if (value && value !== root.lang) { keep(name, value); window.location.reload(); }
    },
    otherScheme() {
      keep('kw_scheme', root.dataset.agThemeMode === 'dark' ? 'light' : 'dark');
      window.location.reload();
    },
  };
})();
