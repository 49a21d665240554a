//! The people of a structure: inviting one, changing a role, removing one. Each act has its
//! confirmation page, which is what the dialogs of the « Fiche structure » hold for browsers
//! without scripts.

pub mod pages;
pub mod requests;

use axum::{
    Form,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;

use crate::{
    db::members::{self, MemberError},
    domain::{
        contact_address::ContactAddress,
        new_person::{NewPerson, NewPersonError},
        role::Role,
    },
    web::{
        edge::{
            error::{AppError, page, page_with_status, rate_limited},
            state::AppState,
        },
        identity::authority::{Managed, ManagedMembership},
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
    fn checked(&self) -> Result<(NewPerson, Role), Errors> {
        let mut errors = Vec::new();
        let mut refuse = |field, message: String| errors.push(FieldError { field, message });
        let address = ContactAddress::parse(&self.adresse);
        if let Err(error) = &address {
            refuse("adresse", error.to_string().replace("adresse de contact", "adresse électronique"));
        }
        // Where the address is wrong, the names are still looked at.
        let address = address.as_ref().map_or("a@b.fr", ContactAddress::as_str);
        let mut person = None;
        for (first, last) in [(self.prenom.as_str(), "x"), ("x", self.nom.as_str()), (&self.prenom, &self.nom)] {
            match NewPerson::checked(address, last, first, address) {
                Ok(checked) => person = Some(checked),
                Err(error) => {
                    let (field, message) = advice(error);
                    refuse(field, message);
                }
            }
        }
        let role = Role::given(&self.role);
        if role.is_none() {
            refuse("role", "Choisissez un rôle.".into());
        }
        let mut said = Vec::new();
        errors.retain(|error| {
            !said.contains(&error.field) && {
                said.push(error.field);
                true
            }
        });
        match (person, role) {
            (Some(person), Some(role)) if errors.is_empty() => Ok((person, role)),
            _ => Err(Errors(errors)),
        }
    }
}

/// What the manager can mend; the operator reads the same errors in English.
fn advice(error: NewPersonError) -> (&'static str, String) {
    let name = |what: &str| if what == "first name" { ("prenom", "prénom") } else { ("nom", "nom") };
    match error {
        NewPersonError::NameMissing(what) => (name(what).0, format!("Saisissez le {}.", name(what).1)),
        NewPersonError::NameTooLong(what) => {
            (name(what).0, format!("Le {} ne peut pas dépasser 100 caractères.", name(what).1))
        }
        NewPersonError::NameUnprintable(what) => {
            (name(what).0, format!("Le {} contient un caractère qui ne peut pas être affiché.", name(what).1))
        }
        NewPersonError::LoginTechnical => {
            ("adresse", "Cette adresse est celle d’un compte technique : invitez une personne.".into())
        }
        NewPersonError::LoginMissing | NewPersonError::LoginCharacter | NewPersonError::ContactAddress => {
            ("adresse", "Cette adresse ne peut pas servir d’identifiant : vérifiez-la.".into())
        }
    }
}

/// Invites: attaches who is known, registers who is not. Both are written to.
pub async fn invite(State(state): State<AppState>, managed: Managed, Form(form): Form<InviteForm>) -> Answer {
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
    Form(form): Form<RoleForm>,
) -> Result<Redirect, AppError> {
    let role = Role::given(&form.role).ok_or(AppError::Unprocessable)?;
    members::change_role(&state.pool, &membership.visitor.actor, &membership.managed, role).await?;
    Ok(back(&membership, Notice::MemberRoleChanged))
}

/// « Retirer », confirmed.
pub async fn remove(State(state): State<AppState>, membership: ManagedMembership) -> Result<Redirect, AppError> {
    members::remove(&state.pool, &membership.visitor.actor, &membership.managed).await?;
    Ok(back(&membership, Notice::MemberRemoved))
}

fn back(membership: &ManagedMembership, notice: Notice) -> Redirect {
    Redirect::to(&notice.on(&paths::structure(membership.managed.structure().id())))
}
