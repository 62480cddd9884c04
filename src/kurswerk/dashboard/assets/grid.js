// How tables write numbers, moments, states and links.
(() => {
  const functions = (window.dashAgGridFunctions = window.dashAgGridFunctions || {});
  const components = (window.dashAgGridComponentFunctions = window.dashAgGridComponentFunctions || {});
  const tongue = () => document.documentElement.lang || 'en';
  const none = (value) => value === null || value === undefined || value === '';
  functions.kwNumber = window.kurswerk.number;
  functions.kwShare = window.kurswerk.share;
  functions.kwMoment = (value) =>
    none(value) ? '–' : new Intl.DateTimeFormat(tongue(), {dateStyle: 'medium', timeStyle: 'short'}).format(new Date(value));
  components.KwLink = (props) => {
    const href = props.data && props.data.href;
    if (!href || none(props.value)) return none(props.value) ? '–' : String(props.value);
    const click = (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      window.kurswerk.go(href);
    };
    return React.createElement('a', {href, onClick: click, className: 'kw-link'}, String(props.value));
  };
  components.KwStatus = (props) => {
    if (none(props.value)) return '–';
    const words = (props.colDef.cellRendererParams || {}).words || {};
    return React.createElement('span', {className: `kw-state kw-state-${props.value}`}, words[props.value] || props.value);
  };
})();
