/* The page of a course is the same for everybody. Who has the course already is led there instead of to the checkout. */
"use strict";

(async () => {
  const place = document.querySelector("[data-owner]");
  const answer = await fetch(place.dataset.owner, { headers: { Accept: "application/json" } });
  if (answer.status !== 200) return;
  const { url, label } = await answer.json();
  document.querySelectorAll("[data-enroll]").forEach((link) => {
    link.href = url;
    link.textContent = label;
  });
})().catch(() => {}); // without an answer the page stays as it is: the checkout knows owners too
