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
  const label = button.firstChild;
  button.hidden = false;
  button.addEventListener("click", async () => {
    const done = await copy(field);
    label.data = done ? "Copied" : "Press Ctrl+C";
    if (status) status.textContent = done ? `${field.dataset.copied}: copied.` : "The link is selected. Press Ctrl and C to copy it.";
    button.focus();
    setTimeout(() => { label.data = "Copy"; }, 2500);
  });
});
