// How tables write numbers, moments, states and links.
(() => {
  const functions = (window.dashAgGridFunctions = window.dashAgGridFunctions || {});
  const components = (window.dashAgGridComponentFunctions = window.dashAgGridComponentFunctions || {});
  const {isMissing} = window.kurswerk;
  functions.kwNumber = window.kurswerk.number;
  functions.kwShare = window.kurswerk.share;
  functions.kwThreshold = window.kurswerk.threshold;
  functions.kwMoment = (value) => (isMissing(value) ? '–' : window.kurswerk.moment(value));
  functions.kwDay = (value) => (isMissing(value) ? '–' : window.kurswerk.day(value));
  // The filter of each table. A table's options ask here, so that they stay as they are: new ones would have
  // Dash set up the whole table.
  const filters = {};
  functions.kwHasFilter = (name) => !!filters[name];
  functions.kwPassesFilter = (name, row) => filters[name](row);
  const table = (name) => {
    const api = document.querySelector(`#${name} .ag-root`) && dash_ag_grid.getApi(name);
    return api && !api.isDestroyed() ? api : null;
  };
  window.kurswerk.filterTable = (name, fits) => {
    filters[name] = fits;
    const api = table(name);
    if (api) api.onFilterChanged();
  };
  window.kurswerk.anyRow = (name, fits) => {
    const api = table(name);
    let found = false;
    if (api) api.forEachNode((row) => { found ||= fits(row.data); });
    return found;
  };
  // Adds rows on top that are not there yet, and keeps the newest `most`. A table that is not drawn yet is waited for.
  const pending = {};
  const addPending = (name, most, tries) => {
    const api = table(name);
    if (!api) {
      if (tries) setTimeout(addPending, 100, name, most, tries - 1);
      else pending[name].waiting = false;
      return;
    }
    const add = pending[name].rows.filter((row) => !api.getRowNode(row.id));
    delete pending[name];
    if (add.length) api.applyTransaction({add, addIndex: 0});
    const gone = [];
    api.forEachNode((row, k) => { if (k >= most) gone.push(row.data); });
    if (gone.length) api.applyTransaction({remove: gone});
  };
  window.kurswerk.addRows = (name, rows, most) => {
    const known = (pending[name] || {rows: []}).rows.filter((one) => !rows.some((row) => row.id === one.id));
    const waiting = !!(pending[name] || {}).waiting;
    pending[name] = {rows: [...rows, ...known].slice(0, most), waiting: true};
    if (!waiting) addPending(name, most, 50);
  };
  // Whether each word is part of one of a row's values.
  window.kurswerk.containsWords = ({id, href, ...row}, text) => {
    const values = Object.values(row).map((value) => String(value).toLowerCase());
    return text.toLowerCase().split(/\s+/).every((word) => values.some((value) => value.includes(word)));
  };
  components.KwLink = (props) => {
    const href = props.data && props.data.href;
    if (!href || isMissing(props.value)) return isMissing(props.value) ? '–' : String(props.value);
    const click = (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      window.kurswerk.go(href);
    };
    return React.createElement('a', {href, onClick: click, className: 'kw-link'}, String(props.value));
  };
  components.KwStatus = (props) => {
    if (isMissing(props.value)) return '–';
    const words = (props.colDef.cellRendererParams || {}).words || {};
    return React.createElement('span', {className: `kw-state kw-state-${props.value}`}, words[props.value] || props.value);
  };
})();
