/* Moments in the reader's own time zone and language; without this script they stand there in UTC. */
"use strict";

{
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const formats = {
    moment: { year: "numeric", month: "long", day: "numeric", hour: "numeric", minute: "2-digit", timeZoneName: "short" },
    time: { hour: "numeric", minute: "2-digit", timeZoneName: "short" },
  };

  const localize = (root) => root.querySelectorAll("time[data-local]").forEach((element) => {
    const moment = new Date(element.dateTime);
    if (Number.isNaN(moment.getTime())) return;
    element.title = element.textContent;
    element.textContent = new Intl.DateTimeFormat(document.documentElement.lang, formats[element.dataset.local]).format(moment);
    element.removeAttribute("data-local");
  });

  if (zone && zone !== "UTC") {
    localize(document);
    document.addEventListener("htmx:load", (event) => localize(event.detail.elt.parentElement || document));
  }
}
