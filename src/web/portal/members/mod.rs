//! The members of a structure: inviting one, changing a role, removing one (from several structures
//! in `removals`). Each act has a confirmation page, for browsers without scripts; others show it
//! as a dialog of « Fiche structure ».

mod pages;
pub mod removals;
pub mod requests;

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;

use crate::{
    db::members::{self, MemberError},
    domain::{
        contact_address::ContactAddressError,
        new_person::{LoginError, NameError, NewPerson, NewPersonErrors},
        role::Role,
    },
    web::{
        edge::{
            error::{AppError, page, page_with_status, rate_limited},
            state::AppState,
        },
        identity::{
            authority::{Managed, ManagedMembership},
            fresh_form::{FreshForm, Nothing},
        },
        paths,
        shell::{
            form::{Errors, FieldError},
            layout::Tab,
            notice::Notice,
            values::{MemberView, StructureName},
        },
    },
};
use pages::{MemberAct, MemberActPage, MemberForm, MemberInvitationPage};

type Answer = Result<Response, AppError>;

impl From<MemberError> for AppError {
    fn from(error: MemberError) -> Self {
        match error {
            MemberError::NotManager(_) => Self::NotFound,
            MemberError::PrincipalManager | MemberError::OtherRole(_) | MemberError::Ambiguous => Self::Conflict,
            MemberError::TooMany { seconds } => Self::TooManyRequests { seconds },
            MemberError::Database(error) => error.into(),
        }
    }
}

/// « Inviter un membre »: the form.
pub async fn invitation(State(state): State<AppState>, managed: Managed) -> Answer {
    page(&invitation_page(&state, &managed, MemberForm::default(), Errors::none()))
}

fn invitation_page(state: &AppState, managed: &Managed, form: MemberForm, errors: Errors) -> MemberInvitationPage {
    let structure = StructureName::from(&managed.structure);
    MemberInvitationPage { layout: managed.layout(state, None), structure, form, errors }
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub struct InviteForm {
    adresse: String,
    prenom: String,
    nom: String,
    role: String,
}

impl InviteForm {
    /// The person and their role, or one error for each wrong field, in the order of the form.
    fn checked(&self) -> Result<(NewPerson, Role), Errors> {
        // The address serves as login, too.
        let person = NewPerson::checked(&self.adresse, &self.nom, &self.prenom, &self.adresse);
        match (person, Role::given(&self.role)) {
            (Ok(person), Some(role)) => Ok((person, role)),
            (person, role) => {
                let mut errors = person.err().map(messages).unwrap_or_default();
                if role.is_none() {
                    errors.push(FieldError { field: "role", message: "Choisissez un rôle.".into() });
                }
                Err(Errors(errors))
            }
        }
    }
}

/// What the form says of each refused field.
fn messages(errors: NewPersonErrors) -> Vec<FieldError> {
    let NewPersonErrors { login, last_name, first_name, contact_address } = errors;
    let address = contact_address.map(address_message).or_else(|| login.map(login_message)).map(str::to_owned);
    let first_name = first_name.map(|error| name_message("prénom", error));
    let last_name = last_name.map(|error| name_message("nom", error));
    [("adresse", address), ("prenom", first_name), ("nom", last_name)]
        .into_iter()
        .filter_map(|(field, message)| Some(FieldError { field, message: message? }))
        .collect()
}

fn address_message(error: ContactAddressError) -> &'static str {
    match error {
        ContactAddressError::Empty => "Saisissez une adresse électronique.",
        ContactAddressError::Form => "L’adresse électronique doit avoir la forme nom@domaine.fr.",
    }
}

fn login_message(error: LoginError) -> &'static str {
    match error {
        LoginError::Technical => "Cette adresse est celle d’un utilisateur technique : invitez une personne.",
        LoginError::Missing | LoginError::Character => "Cette adresse ne peut pas servir d’identifiant : vérifiez-la.",
    }
}

fn name_message(name: &str, error: NameError) -> String {
    match error {
        NameError::Missing => format!("Saisissez le {name}."),
        NameError::TooLong => format!("Le {name} ne peut pas dépasser 100 caractères."),
        NameError::Unprintable => format!("Le {name} contient un caractère qui ne peut pas être affiché."),
    }
}

/// « Inviter »: attaches a known person, registers and attaches an unknown one, and mails them.
pub async fn invite(State(state): State<AppState>, managed: Managed, FreshForm(form): FreshForm<InviteForm>) -> Answer {
    let refuse = |form: InviteForm, errors| {
        let form = MemberForm {
            address: form.adresse,
            first_name: form.prenom,
            last_name: form.nom,
            role: Role::given(&form.role).map_or("", Role::external_code),
        };
        page_with_status(StatusCode::UNPROCESSABLE_ENTITY, &invitation_page(&state, &managed, form, errors))
    };
    let (person, role) = match form.checked() {
        Ok(checked) => checked,
        Err(errors) => return refuse(form, errors),
    };
    let message = match members::invite(&state.pool, &managed.visitor.actor, &managed.structure, &person, role).await {
        Ok(()) => {
            let structure = paths::structure(managed.structure.id());
            return Ok(Redirect::to(&Notice::MemberInvited.on(&structure)).into_response());
        }
        Err(MemberError::OtherRole(role)) => {
            format!("Cette personne est déjà rattachée à la structure, avec le rôle « {} ».", role.label())
        }
        Err(MemberError::Ambiguous) => {
            "Plusieurs personnes utilisent cette adresse de contact. Saisissez l’identifiant de connexion \
            de la personne, ou demandez-lui de faire une demande de rattachement depuis la page Mon compte."
                .into()
        }
        Err(MemberError::TooMany { seconds }) => {
            let message = "Vous avez invité beaucoup de personnes, ou modifié beaucoup de rôles, en peu de temps. \
                Réessayez dans une heure."
                .into();
            return Ok(rate_limited(refuse(form, Errors(vec![FieldError { field: "adresse", message }]))?, seconds));
        }
        Err(error) => return Err(error.into()),
    };
    refuse(form, Errors(vec![FieldError { field: "adresse", message }]))
}

/// « Renvoyer l’invitation ».
pub async fn invite_again(
    State(state): State<AppState>,
    membership: ManagedMembership,
    FreshForm(Nothing {}): FreshForm<Nothing>,
) -> Result<Redirect, AppError> {
    members::invite_again(&state.pool, &membership.visitor.actor, &membership.managed).await?;
    Ok(back(&membership, Notice::InvitationSentAgain))
}

/// « Modifier le rôle »: the confirmation page.
pub async fn role(State(state): State<AppState>, managed: ManagedMembership) -> Answer {
    page(&act_page(&state, &managed, MemberAct::ChangeRole))
}

/// « Retirer »: the confirmation page.
pub async fn removal(State(state): State<AppState>, managed: ManagedMembership) -> Answer {
    page(&act_page(&state, &managed, MemberAct::Remove))
}

fn act_page(state: &AppState, membership: &ManagedMembership, act: MemberAct) -> MemberActPage {
    let managed = &membership.managed;
    MemberActPage {
        layout: state.layout(&membership.visitor.person, Tab::Activities, None),
        structure: StructureName::from(managed.structure()),
        member: MemberView::from(managed.member()),
        act,
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub struct RoleForm {
    role: String,
}

/// « Modifier le rôle », confirmed.
pub async fn change_role(
    State(state): State<AppState>,
    membership: ManagedMembership,
    FreshForm(form): FreshForm<RoleForm>,
) -> Result<Redirect, AppError> {
    let role = Role::given(&form.role).ok_or(AppError::Unprocessable)?;
    let before = members::change_role(&state.pool, &membership.visitor.actor, &membership.managed, role).await?;
    let notice = match (before, role) {
        (None, _) => Notice::MemberRoleUnchanged,
        (Some(_), Role::User) => Notice::MemberBecameUser,
        (Some(_), _) => Notice::MemberBecameSecondaryManager,
    };
    Ok(back(&membership, notice))
}

/// « Retirer », confirmed.
pub async fn remove(
    State(state): State<AppState>,
    membership: ManagedMembership,
    FreshForm(Nothing {}): FreshForm<Nothing>,
) -> Result<Redirect, AppError> {
    members::remove(&state.pool, &membership.visitor.actor, &membership.managed).await?;
    Ok(back(&membership, Notice::MemberRemoved))
}

fn back(membership: &ManagedMembership, notice: Notice) -> Redirect {
    Redirect::to(&notice.on(&paths::structure(membership.managed.structure().id())))
}
