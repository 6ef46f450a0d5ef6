/* How many characters of a long answer are written. Without this script the page says how many there may be. */
"use strict";

document.querySelectorAll("[data-count]").forEach((place) => {
  const field = document.getElementById(place.dataset.count);
  const most = Number(place.dataset.most);
  const show = () => {
    const words = place.dataset.words.replace("NUMBER", field.value.length.toLocaleString());
    place.textContent = words.replace("MOST", most.toLocaleString());
    place.classList.toggle("near", most - field.value.length < most / 20);
  };
  field.addEventListener("input", show);
  show();
});
