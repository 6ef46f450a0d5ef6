// allauth's script only writes to the console when a passkey is cancelled or not known.
document.addEventListener("allauth.error", () => {
  document.getElementById("passkey-error").hidden = false;
});
