from django.db.models import Count, Q

from enrollments.models.enrollment import Enrollment

# What is counted as sold: a refund later takes nothing from the figures of what was bought.
SOLD = [Enrollment.PAID, *Enrollment.OVER]
SALE_COUNTS = {
    "referrals": Count("pk"),
    "paid": Count("pk", filter=Q(amount__gt=0)),
    "refunded": Count("pk", filter=Q(amount__gt=0, status=Enrollment.REFUNDED)),
}
