/* The office by keyboard. The framework opens its menus by a click on elements that no keyboard
   reaches and no reader names: here they become buttons. Without scripts there are no menus. */
"use strict";

const OPENERS = {
  sidebarDesktopOpen: { name: "Sidebar" },
  sidebarMobileOpen: { name: "Menu", opens: "#nav-sidebar" },
  openDropdown: { name: "The shop and who sells" },
  openUserLinks: { name: "Your account" },
  "filterOpen = true": { name: "Filters", opens: "#changelist-filter" },
};
const FOCUSABLE = "a[href], button, input:not([type=hidden]), select, textarea, [tabindex='0']";
let opener = null;

const shown = (element) => element.checkVisibility({ visibilityProperty: true });
const first = (place) => [...place.querySelectorAll(FOCUSABLE)].find(shown);

const open = (element, panel) => {
  opener = element;
  element.click();
  setTimeout(() => { if (panel && shown(panel)) first(panel)?.focus(); }, 250); // when it has faded in
};

const makeButton = (element, { name, opens }) => {
  const panel = opens ? document.querySelector(opens) : element.parentElement.querySelector("[x-show]");
  element.setAttribute("role", "button");
  element.setAttribute("aria-label", name);
  element.tabIndex = 0;
  element.addEventListener("keydown", (event) => {
    if (event.target !== element || !["Enter", " "].includes(event.key)) return;
    event.preventDefault();
    open(element, panel);
  });
};

document.addEventListener("DOMContentLoaded", () => {
  for (const element of document.querySelectorAll("[x-on\\:click]:not(button, a[href], input)")) {
    const does = element.getAttribute("x-on:click");
    const found = Object.keys(OPENERS).find((each) => does.startsWith(each));
    if (found) makeButton(element, OPENERS[found]);
  }
  // Where a form was refused, the first field to mend has the focus, or what is said above it.
  (document.querySelector("[aria-invalid=true]") || document.querySelector("[data-refused]"))?.focus();
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || !opener) return;
  if (opener.getAttribute("aria-label") !== "Filters") opener.click();
  opener.focus();
  opener = null;
});
