/* Keys for answering applications: they press what is on the page. Without this script everything is there all the same. */
"use strict";

{
  const desk = document.getElementById("triage");
  const off = document.getElementById("triage-keys");
  const KEPT = "triage-keys-off";

  const isTyping = (element) => element.matches("textarea, select, input:not([type=radio], [type=checkbox]), [contenteditable]");

  const press = (key) => {
    const digit = "1234567890".indexOf(key);
    const wanted = digit >= 0
      ? desk.querySelector(`input[type=radio][value="${(digit + 1) * 10}"]`)
      : desk.querySelector(`[data-key="${CSS.escape(key)}"]`);
    if (!wanted) return false;
    const folded = wanted.closest("details:not([open])");
    if (folded) folded.open = true;
    if (wanted.matches("select")) wanted.focus();
    else { wanted.focus(); wanted.click(); }
    return true;
  };

  const isOff = () => off && off.checked;

  document.addEventListener("keydown", (event) => {
    if (!desk || isOff() || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    if (isTyping(event.target)) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    if (press(event.key)) event.preventDefault();
  });

  if (off) {
    off.closest("[hidden]").hidden = false;
    off.checked = localStorage.getItem(KEPT) === "1";
    off.addEventListener("change", () => localStorage.setItem(KEPT, off.checked ? "1" : "0"));
  }
}
