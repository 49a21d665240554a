// Optional comfort: every page works without this file.

copyButtons();
dialogButtons();
confirmedForms();
printButtons();
busyForms();
exportForms();
sessionWarning();
progressOfBatch();
passwordAdvice();
askOnceBeforeLeavingTheSecret();
renaming();
chosenRows();
document.getElementById("erreurs")?.focus();

// A page that the browser restores for Back must not show its password again.
addEventListener("pageshow", (event) => {
  if (event.persisted && document.querySelector("[data-once]")) location.replace(location.pathname + location.search);
});

// « Copier »: shown only where scripts run; the result is announced in a status.
function copyButtons() {
  for (const button of document.querySelectorAll("[data-copy]")) {
    const source = document.getElementById(button.dataset.copy);
    const status = button.closest("section").querySelector("[role=status]");
    button.hidden = false;
    button.addEventListener("click", async () => {
      const copied = await copy(source);
      status.textContent = "";
      requestAnimationFrame(() => {
        status.textContent = copied ? button.dataset.copied : "La copie a échoué : le texte est sélectionné, copiez-le avec le clavier.";
      });
    });
  }
}

async function copy(source) {
  try {
    await navigator.clipboard.writeText(source.value ?? source.textContent);
    source.dispatchEvent(new Event("copy", { bubbles: true }));
    return true;
  } catch {
    source.select ? source.select() : getSelection().selectAllChildren(source);
    return document.execCommand("copy");
  }
}

// « Modifier » beside a name: what it opens is there to type in.
function renaming() {
  const summary = document.querySelector(".rename > summary");
  summary?.addEventListener("click", () => setTimeout(() => summary.parentElement.open && document.getElementById("libelle").select()));
}

// « 3 comptes choisis »: counts on while boxes are ticked.
function chosenRows() {
  const words = document.querySelector("[data-elsewhere]");
  if (!words) return;
  const boxes = [...document.querySelectorAll("input[type=checkbox][form=choix]")];
  const said = () => {
    const count = Number(words.dataset.elsewhere) + boxes.filter((box) => box.checked).length;
    const chosen = count > 1 ? words.dataset.words.replaceAll(/(?= |$)/g, "s") : words.dataset.words;
    words.textContent = `${count.toLocaleString("fr-FR")} ${chosen}`;
    words.parentElement.hidden = count === 0;
  };
  addEventListener("change", (event) => boxes.includes(event.target) && said());
}

// « Imprimer »: works only with scripts.
function printButtons() {
  for (const button of document.querySelectorAll("[data-print]")) {
    button.hidden = false;
    button.addEventListener("click", () => print());
  }
}

// A button that leads to a confirmation page opens a dialog with the same content instead.
function dialogButtons() {
  for (const button of document.querySelectorAll("[data-dialog]")) {
    const dialog = document.getElementById(button.dataset.dialog);
    if (!dialog.showModal) return;
    button.setAttribute("aria-haspopup", "dialog");
    button.addEventListener("click", (event) => {
      event.preventDefault();
      dialog.showModal();
    });
  }
}

// A form that asks before it sends a certain value: the dialog's « Confirmer » is its button.
function confirmedForms() {
  for (const form of document.querySelectorAll("[data-confirm]")) {
    const dialog = document.getElementById(form.dataset.confirm);
    if (!dialog.showModal) continue;
    form.addEventListener("submit", (event) => {
      if (dialog.contains(event.submitter) || form.elements[form.dataset.confirmField].value !== form.dataset.confirmValue) return;
      event.preventDefault();
      dialog.showModal();
    });
  }
}

// The session ends some time after the last request, and at a fixed age. Announced five minutes
// before, without taking the focus. « Rester connecté » sends a request and informs other tabs.
function sessionWarning() {
  const warning = document.querySelector("[data-session-left]");
  if (!warning) return;
  const [status, button] = [warning.querySelector("[role=status]"), warning.querySelector("button")];
  const [minute, idle, lead] = [60_000, Number(warning.dataset.sessionIdle) * 1000, 5 * 60_000];
  const end = Date.now() + Number(warning.dataset.sessionLeft) * 1000;
  // The buttons of a form stay above it.
  new ResizeObserver(() => document.documentElement.style.setProperty("--announcement", `${warning.offsetHeight}px`)).observe(warning);
  const tabs = "BroadcastChannel" in window ? new BroadcastChannel("raccord-session") : null;
  let seen, ticks;
  const show = (text, extensible) => {
    warning.hidden = false;
    button.hidden = !extensible;
    if (status.textContent !== text) status.textContent = text;
  };
  const tick = () => {
    const dies = Math.min(seen + idle, end);
    const left = Math.ceil((dies - Date.now()) / minute);
    if (dies - Date.now() > lead) return (warning.hidden = true);
    if (left <= 0) {
      clearInterval(ticks);
      forgetSecrets();
      return show("Votre session est terminée. Vous pouvez envoyer un formulaire commencé : vous devrez vous reconnecter, et votre saisie sera conservée, sauf les mots de passe.", false);
    }
    const words = `Votre session se termine dans ${left} minute${left > 1 ? "s" : ""}.`;
    show(dies < end ? words : `${words} Enregistrez votre travail, puis connectez-vous de nouveau.`, dies < end);
  };
  const begin = () => {
    seen = Date.now();
    clearInterval(ticks);
    ticks = setInterval(tick, 10_000);
    tick();
  };
  button.addEventListener("click", async () => {
    const answer = await fetch(warning.dataset.extension, { method: "POST", redirect: "manual" }).catch(() => null);
    if (answer?.status === 204) {
      document.getElementById("contenu").focus({ preventScroll: true });
      begin();
      tabs?.postMessage("seen");
    } else {
      show("La session n’a pas pu être prolongée. Copiez ce que vous avez saisi, puis connectez-vous dans un autre onglet.", true);
    }
  });
  tabs?.addEventListener("message", begin);
  begin();
  tabs?.postMessage("seen");
}

// Removes what was shown once when the session ends, for a screen left alone. Typed text stays.
function forgetSecrets() {
  for (const secret of document.querySelectorAll("[data-secret]")) {
    document.querySelectorAll(`[data-copy="${secret.id}"]`).forEach((button) => button.remove());
    const words = "Effacé à la fin de votre session.";
    if (secret.matches("a, svg")) secret.remove();
    else if (secret.matches("input")) secret.setAttribute("value", words);
    else secret.textContent = words;
  }
  document.querySelectorAll("[data-once] [data-download]").forEach((form) => form.remove());
  document.dispatchEvent(new Event("forgotten"));
}

// Advice on the password that is being chosen, once typing pauses. Only the server decides.
function passwordAdvice() {
  for (const advice of document.querySelectorAll("[data-strength]")) {
    const field = document.getElementById(advice.dataset.strength);
    let pause;
    field.addEventListener("input", () => {
      clearTimeout(pause);
      pause = setTimeout(() => (advice.textContent = adviceOn(field.value)), 400);
    });
  }
}

function adviceOn(password) {
  const length = [...password].length;
  const missing = 15 - length;
  if (length === 0) return "";
  if (missing > 0) return `Encore ${missing} caractère${missing > 1 ? "s" : ""} au moins.`;
  if (length > 128) return "Trop long : 128 caractères au plus.";
  if (new Set(password.toLowerCase()).size < 6) return "Facile à deviner : trop de caractères identiques.";
  if (length < 20) return "Solidité suffisante. Quelques mots de plus la renforceraient.";
  return "Bonne solidité.";
}

// One submission at a time. The button keeps its focus and is marked disabled; Back frees it.
function busyForms() {
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (event.defaultPrevented || event.submitter?.formMethod === "dialog" || form.method !== "post") return;
    if (form.hasAttribute("data-busy")) return event.preventDefault();
    // After the browser has read the form's data.
    setTimeout(() => busy(form, true));
  });
  addEventListener("pageshow", () => document.querySelectorAll("form[data-busy]").forEach((form) => busy(form, false)));
}

function busy(form, on) {
  form.toggleAttribute("data-busy", on);
  for (const button of form.querySelectorAll("button")) {
    on ? button.setAttribute("aria-disabled", "true") : button.removeAttribute("aria-disabled");
  }
}

// A form whose answer is a document: the script fetches it, so that the page can say when it is
// saved. For any other answer (a refusal, a redirection) the browser sends the form again itself.
function exportForms() {
  for (const form of document.querySelectorAll("[data-download]")) {
    const status = form.querySelector("[role=status]") ?? form.closest("section").querySelector("[role=status]:not(output)");
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      if (form.hasAttribute("data-busy")) return;
      busy(form, true);
      status.textContent = "";
      const exported = await save(form).catch(() => false);
      busy(form, false);
      if (!exported) return form.submit();
      forgetErrors(form);
      status.textContent = form.dataset.download;
    });
  }
}

// What a form said before it was accepted.
function forgetErrors(form) {
  for (const error of form.querySelectorAll(".error, .field-invalid, [aria-invalid]")) {
    error.classList.remove("field-invalid");
    error.removeAttribute("aria-invalid");
    if (error.matches(".error")) error.remove();
  }
  document.querySelector(".error-summary")?.remove();
}

async function save(form) {
  const answer = await fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)), redirect: "manual" });
  const [, name] = answer.headers.get("content-disposition")?.match(/^attachment; filename="([^"]+)"$/) ?? [];
  if (!answer.ok || !name) return false;
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await answer.blob());
  link.download = name;
  link.click();
  // Once the browser has read it.
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  return true;
}

// The progress of a batch, read again each second, and the whole page once the work is done.
function progressOfBatch() {
  const shown = document.querySelector("[data-progress]");
  if (!shown) return;
  const look = async () => {
    const answer = await fetch(location.pathname).catch(() => null);
    if (answer?.ok) {
      const [, total, done] = (await answer.text()).match(/<progress max="(\d+)" value="(\d+)"/) ?? [];
      if (!total) return location.reload();
      shown.querySelector("p").textContent = `${done} sur ${total} traités.`;
      shown.querySelector("progress").value = done;
    }
    setTimeout(look, 1000);
  };
  setTimeout(look, 1000);
}

// The password cannot be shown again: asks once before leaving it neither copied nor exported.
function askOnceBeforeLeavingTheSecret() {
  const secret = document.querySelector("[data-once]");
  if (!secret) return;
  const ask = (event) => {
    event.preventDefault();
    // On a page that was not left: do not ask again, and enable the buttons.
    setTimeout(() => {
      stop();
      dispatchEvent(new Event("pageshow"));
    }, 500);
  };
  const stop = () => removeEventListener("beforeunload", ask);
  addEventListener("beforeunload", ask);
  document.addEventListener("copy", (event) => event.target.closest?.("[data-secret]") && stop());
  document.addEventListener("forgotten", stop);
  for (const form of secret.querySelectorAll("[data-download]")) form.addEventListener("submit", stop);
  // Reloading the answer to a form asks for its page, and does not send the form again.
  history.replaceState(history.state, "", location.href);
}
