/* The buttons beside links: without this script they are not there, and the link can be selected in its field. */
"use strict";

document.addEventListener("focusin", (event) => {
  if (event.target.matches("input[data-copied]")) event.target.select();
});

const status = document.getElementById("copy-status");

const copy = async (field) => {
  field.select();
  try {
    await navigator.clipboard.writeText(field.value);
    return true;
  } catch {
    return document.execCommand("copy"); // where the clipboard is out of reach, such as without https
  }
};

document.querySelectorAll("button[data-copy]").forEach((button) => {
  const field = document.getElementById(button.dataset.copy);
  const label = button.firstChild, ready = label.data;
  button.hidden = false;
  button.addEventListener("click", async () => {
    const done = await copy(field);
    label.data = done ? button.dataset.done : button.dataset.failed;
    if (status) status.textContent = done ? field.dataset.copied : field.dataset.selected;
    button.focus();
    setTimeout(() => { label.data = ready; }, 2500);
  });
});
